#include "tools/support/task_options.h"

#include <algorithm>

#include "recipes/override.h"
#include "recipes/yaml.h"
#include "src/core/text.h"

namespace longspan {

namespace {

EvalTasks make_tasks(const Arguments& arguments) {
  const auto& given =
      arguments.given("task") ? arguments.all("task") : std::vector<std::string>{arguments["task"]};
  EvalTasks tasks;
  for (const auto& name : split(join(given, ","), ',')) {
    for (const auto& task : tasks) {
      if (task->name() == name) fail(ExitCode::kUsage, "--task: '{}' is there twice", name);
    }
    if (!tasks.emplace_back(make_eval_task(name))) {
      fail(ExitCode::kUsage, "--task: '{}' is not known; expected one of {}", name,
           join(eval_tasks(), ", "));
    }
  }
  return tasks;
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

/// A task that --set names and that is not run.
void refuse_other_tasks(const Json& settings, const EvalTasks& tasks, Diagnostics& diagnostics) {
  const std::vector<std::string> known = eval_tasks();
  for (const auto& [name, unused] : settings.items()) {
    if (std::any_of(tasks.begin(), tasks.end(), [&](const auto& t) { return t->name() == name; })) {
      continue;
    }
    std::string meant = nearest(name, known);
    if (meant == name) {
      diagnostics.error(name, "is not among the tasks of --task");
    } else {
      diagnostics.error(name, meant.empty() ? "is no task; expected one of " + join(known, ", ")
                                            : fmt::format("is no task; did you mean '{}'?", meant));
    }
  }
}

/// {"passkey": {"trials": 5}} of --set passkey.trials=5.
Json read_settings(const Arguments& arguments, Diagnostics& diagnostics) {
  for (const auto& setting : arguments.all("set")) {
    const size_t dot = setting.find('.'), equals = setting.find('=');
    if (equals != setting.npos && dot < equals) continue;
    fail(ExitCode::kUsage, "--set: '{}': expected TASK.KEY=VALUE, such as passkey.trials=5",
         setting);
  }
  Json settings = Json::object();
  apply_overrides(arguments.all("set"), settings, diagnostics);
  diagnostics.throw_if_any(ExitCode::kUsage);
  return settings;
}

}  // namespace

EvalTasks read_tasks(const Arguments& arguments, std::span<const Option> options) {
  EvalTasks tasks = make_tasks(arguments);
  Diagnostics diagnostics("--set");
  Json settings = read_settings(arguments, diagnostics);
  refuse_other_tasks(settings, tasks, diagnostics);
  for (const auto& task : tasks) {
    add_short_forms(*task, arguments, options, settings, diagnostics);
    const std::string name(task->name());
    Fields fields(settings[name], diagnostics, name);
    task->read(fields);
    fields.finish();
  }
  diagnostics.throw_if_any(ExitCode::kUsage);
  return tasks;
}

}  // namespace longspan
