#include "checkpoints/gguf/gguf_chat_templates.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

#include "checkpoints/hf/hf_tokenizer.h"
#include "src/core/log.h"

namespace longspan {

namespace {

constexpr const char* kDefaultTemplate = "default";
constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr std::string_view kTemplateEnding = ".jinja";
const std::string kTemplateFolder = fmt::format("{}/", kChatTemplatesFolder);
constexpr const char* kTemplateKey = "tokenizer.chat_template";
constexpr const char* kTemplateNames = "tokenizer.chat_templates";

using TemplatesByName = std::map<std::string, std::string>;

std::string template_key(const std::string& name) {
  return fmt::format("{}.{}", kTemplateKey, name);
}

bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

TemplatesByName templates_of_files(const ModelSource& source) {
  TemplatesByName templates;
  for (const auto& [file, content] : source.side_files()) {
    if (file == kTemplateFile) templates[kDefaultTemplate] = content;
    if (!file.starts_with(kTemplateFolder) || !file.ends_with(kTemplateEnding)) continue;
    const size_t length = file.size() - kTemplateFolder.size() - kTemplateEnding.size();
    templates[file.substr(kTemplateFolder.size(), length)] = content;
  }
  return templates;
}

TemplatesByName templates_of_config(const Json& tokenizer_config) {
  TemplatesByName templates;
  if (!tokenizer_config.is_object()) return templates;
  const Json said = tokenizer_config.value("chat_template", Json());
  if (said.is_string()) templates[kDefaultTemplate] = said.get<std::string>();
  for (const auto& one : said.is_array() ? said : Json::array()) {
    templates[one.value("name", "")] = one.value("template", "");
  }
  return templates;
}

}  // namespace

void write_gguf_chat_templates(const ModelSource& source, GgufMetadata& metadata) {
  // transformers passes over those of tokenizer_config.json where there are files.
  TemplatesByName templates = templates_of_files(source);
  if (templates.empty()) templates = templates_of_config(source.side_json("tokenizer_config.json"));
  std::vector<std::string> names;
  for (const auto& [name, content] : templates) {
    if (name == kDefaultTemplate || name.empty()) continue;
    names.push_back(name);
    std::replace_if(names.back().begin(), names.back().end(), std::not_fn(is_name_letter), '_');
    metadata.set(template_key(names.back()), content);
  }
  if (!names.empty()) metadata.set(kTemplateNames, names);
  if (templates.contains(kDefaultTemplate)) metadata.set(kTemplateKey, templates[kDefaultTemplate]);
}

std::vector<std::pair<std::string, std::string>> read_gguf_chat_templates(const GgufReader& gguf,
                                                                          Json& tokenizer_config) {
  std::vector<std::pair<std::string, std::string>> files;
  const Json* names = gguf.value(kTemplateNames);
  for (const auto& entry : names && names->is_array() ? *names : Json::array()) {
    const std::string name = entry.is_string() ? entry.get<std::string>() : "";
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_letter)) {
      log_warning_once("{}: {}: {} is no name of a chat template; it is left out", gguf.place(),
                       kTemplateNames, json_line(entry));
    } else if (gguf.value(template_key(name))) {
      files.emplace_back(fmt::format("{}{}{}", kTemplateFolder, name, kTemplateEnding),
                         gguf.text(template_key(name)));
    }
  }
  const std::string unnamed = gguf.text(kTemplateKey, "");
  if (unnamed.empty()) return files;
  if (files.empty()) {
    tokenizer_config["chat_template"] = unnamed;
  } else {
    files.emplace_back(kTemplateFile, unnamed);
  }
  return files;
}

}  // namespace longspan
