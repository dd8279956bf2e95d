#include "tools/support/task_options.h"

#include <algorithm>

#include "recipes/override.h"
#include "recipes/yaml.h"
#include "src/core/text.h"

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
  const std::string meant = nearest(name, known);
  fail(ExitCode::kUsage, "--{}: '{}' is not known{}; expected one of {}", option, name,
       meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant), join(known, ", "));
}

EvalTasks make_tasks(const Arguments& arguments) {
  EvalTasks tasks;
  for (const auto& name : names_of(arguments, "task")) {
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
    if (!arms.emplace_back(label, make_arm(name)).arm) refuse_name("arm", name, eval_arms());
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

/// The options in the group of a task are short forms: --trials 5 of --set passkey.trials=5.
void add_short_forms(const EvalTask& task, const Arguments& arguments,
                     std::span<const Option> options, Json& settings, Diagnostics& diagnostics) {
  for (const Option& option : options) {
    if (option.group != task.name() || !arguments.given(option.name)) continue;
    const std::string key_path = fmt::format("{}.{}", option.group, option.name);
    Json& value = settings[std::string(task.name())][std::string(option.name)];
    if (!value.is_null()) {
      diagnostics.error(key_path,
                        fmt::format("is given by --{} too, expected one of the two", option.name));
    }
    value = value_of(option, arguments, key_path, diagnostics);
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
    const std::string meant = nearest(name, known);
    if (meant == name) {
      diagnostics.error(name, make_arm(name) ? "is not among the arms of --arm"
                                             : "is not among the tasks of --task");
    } else {
      diagnostics.error(name, meant.empty()
                                  ? "is no task or arm; expected one of " + join(known, ", ")
                                  : fmt::format("is no task or arm; did you mean '{}'?", meant));
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
    add_short_forms(*task, arguments, options, settings, diagnostics);
    const std::string name(task->name());
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
  return choice;
}

}  // namespace longspan
