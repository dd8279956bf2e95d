#include "tools/support/task_options.h"

#include <algorithm>

#include "recipes/override.h"
#include "recipes/yaml.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/support/eval_suite.h"

namespace longspan {

namespace {

/// Of an option that is given as a list, or several times.
std::vector<std::string> names_of(const Arguments& arguments, std::string_view option) {
  const auto& given =
      arguments.given(option) ? arguments.all(option) : std::vector<std::string>{arguments[option]};
  return split(join(given, ","), ',');
}

[[noreturn]] void refuse_name(std::string_view option, const std::string& name,
                              const std::vector<std::string>& known) {
  fail(ExitCode::kUsage, "--{}: '{}' is not known{}; expected one of {}", option, name,
       did_you_mean(name, known), join(known, ", "));
}

std::vector<std::string> task_names(const Arguments& arguments) {
  if (!arguments.given("suite") || arguments.given("task")) return names_of(arguments, "task");
  const EvalSuite& suite = find_eval_suite(arguments["suite"]);
  std::vector<std::string> names;
  if (arguments.given("text")) {
    names = split(suite.text_tasks, ',');
  } else {
    log_warning("--suite {}: without --text these are left out: {}", suite.name, suite.text_tasks);
  }
  for (auto& name : split(suite.tasks, ',')) names.push_back(std::move(name));
  return names;
}

EvalTasks make_tasks(const Arguments& arguments) {
  EvalTasks tasks;
  for (const auto& name : task_names(arguments)) {
    for (const auto& task : tasks) {
      if (task->name() == name) fail(ExitCode::kUsage, "--task: '{}' is there twice", name);
    }
    if (!tasks.emplace_back(make_eval_task(name))) refuse_name("task", name, eval_tasks());
  }
  return tasks;
}

std::vector<NamedArm> make_arms(const Arguments& arguments) {
  std::vector<NamedArm> arms;
  for (const auto& text : names_of(arguments, "arm")) {
    const size_t equals = text.find('=');
    const std::string label = text.substr(0, equals);
    const std::string name = equals == text.npos ? text : text.substr(equals + 1);
    for (const auto& arm : arms) {
      if (arm.label == label) {
        fail(ExitCode::kUsage, "--arm: '{}' is there twice; name one of them otherwise: other={}",
             label, name);
      }
    }
    if (label.empty() || make_eval_task(label)) {
      fail(ExitCode::kUsage, "--arm: '{}' is {}, expected another name before '='", text,
           label.empty() ? "an arm without a name" : "the name of a task");
    }
    arms.push_back({label, make_arm(name)});
    if (!arms.back().arm) refuse_name("arm", name, eval_arms());
  }
  return arms;
}

/// The option as the value of a task's key: 3, [0, 0.5] of "0,0.5", a list of file names.
Json value_of(const Option& option, const Arguments& arguments, const std::string& key_path,
              Diagnostics& diagnostics) {
  if (option.repeats()) return arguments.all(option.name);
  std::string text = arguments[option.name];
  if (option.value == "LIST") text = "[" + text + "]";
  return read_yaml_override(text, key_path, diagnostics);
}

/// What --suite says of the task and nothing else does.
void add_suite(const std::string& task, const Arguments& arguments, Json& settings,
               Diagnostics& diagnostics) {
  if (!arguments.given("suite")) return;
  const EvalSuite& suite = find_eval_suite(arguments["suite"]);
  Json of_suite = Json::object();
  apply_overrides({suite.settings.begin(), suite.settings.end()}, of_suite, diagnostics);
  if (!of_suite.contains(task)) return;
  Json& keys = settings[task];
  for (const auto& [key, value] : of_suite[task].items()) {
    if (!keys.contains(key)) keys[key] = value;
  }
}

bool takes(const EvalTask& task, const Option& option) {
  return option.group == task.name() ||
         (option.group == kItemOptions && task.write().contains(option.name));
}

/// The options in the group of a task are short forms: --trials 5 of --set passkey.trials=5.
void add_short_forms(const EvalTask& task, const Arguments& arguments,
                     std::span<const Option> options, Json& settings, Diagnostics& diagnostics) {
  for (const Option& option : options) {
    if (!takes(task, option) || !arguments.given(option.name)) continue;
    const std::string key_path = fmt::format("{}.{}", task.name(), option.name);
    Json& value = settings[std::string(task.name())][std::string(option.name)];
    if (!value.is_null()) {
      diagnostics.error(key_path,
                        fmt::format("is given by --{} too, expected one of the two", option.name));
    }
    value = value_of(option, arguments, key_path, diagnostics);
  }
}

/// Says of short forms that no task takes.
void warn_of_unused(const Arguments& arguments, std::span<const Option> options,
                    const EvalTasks& tasks) {
  for (const Option& option : options) {
    const bool of_items = option.group == kItemOptions;
    if (!arguments.given(option.name) || (!of_items && !make_eval_task(option.group))) continue;
    const auto takes_it = [&](const auto& task) { return takes(*task, option); };
    if (std::ranges::any_of(tasks, takes_it)) continue;
    log_warning("--{}: none of the tasks takes it{}", option.name,
                of_items ? "" : fmt::format("; it is of {}", option.group));
  }
}

/// A task or an arm that --set names and that does not take part.
void refuse_others(const Json& settings, const EvalChoice& choice, Diagnostics& diagnostics) {
  std::vector<std::string> taking_part;
  for (const auto& task : choice.tasks) taking_part.emplace_back(task->name());
  for (const auto& arm : choice.arms) taking_part.push_back(arm.label);
  std::vector<std::string> known = eval_tasks();
  for (const auto& name : eval_arms()) known.push_back(name);
  for (const auto& [name, unused] : settings.items()) {
    if (std::ranges::find(taking_part, name) != taking_part.end()) continue;
    if (std::ranges::find(known, name) != known.end()) {
      diagnostics.error(name, make_arm(name) ? "is not among the arms of --arm"
                                             : "is not among the tasks of --task");
    } else {
      diagnostics.error(name, fmt::format("is no task or arm{}; expected one of {}",
                                          did_you_mean(name, known), join(known, ", ")));
    }
  }
}

/// {"passkey": {"trials": 5}} of --set passkey.trials=5.
Json read_settings(const Arguments& arguments, Diagnostics& diagnostics) {
  for (const auto& setting : arguments.all("set")) {
    const size_t dot = setting.find('.'), equals = setting.find('=');
    if (equals != setting.npos && dot < equals) continue;
    fail(ExitCode::kUsage, "--set: '{}': expected NAME.KEY=VALUE, such as passkey.trials=5",
         setting);
  }
  Json settings = Json::object();
  apply_overrides(arguments.all("set"), settings, diagnostics);
  diagnostics.throw_if_any(ExitCode::kUsage);
  return settings;
}

}  // namespace

EvalChoice read_eval_choice(const Arguments& arguments, std::span<const Option> options) {
  EvalChoice choice{make_tasks(arguments), make_arms(arguments)};
  Diagnostics diagnostics("--set");
  Json settings = read_settings(arguments, diagnostics);
  refuse_others(settings, choice, diagnostics);
  for (const auto& task : choice.tasks) {
    const std::string name(task->name());
    add_short_forms(*task, arguments, options, settings, diagnostics);
    add_suite(name, arguments, settings, diagnostics);
    Fields fields(settings[name], diagnostics, name);
    task->read(fields);
    fields.finish();
  }
  for (const auto& arm : choice.arms) {
    Fields fields(settings[arm.label], diagnostics, arm.label);
    arm.arm->read(fields);
    fields.finish();
  }
  diagnostics.throw_if_any(ExitCode::kUsage);
  warn_of_unused(arguments, options, choice.tasks);
  return choice;
}

}  // namespace longspan
