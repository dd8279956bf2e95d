#include "trainer/eval/arms/arm.h"

#include <fmt/format.h>

#include "src/core/fields_reader.h"
#include "src/core/fields_writer.h"
#include "trainer/eval/arms/focused_memory_arm.h"
#include "trainer/eval/arms/full.h"

namespace longspan {

namespace {

struct ArmEntry {
  std::string_view name;
  std::unique_ptr<Arm> (*make)();
};

template <class Kind>
std::unique_ptr<Arm> make_kind() {
  return std::make_unique<Kind>();
}

constexpr ArmEntry kArms[] = {
    {"full", make_kind<FullArm>},
    {"focused_memory", make_kind<FocusedMemoryArm>},
};

}  // namespace

std::vector<std::string> eval_arms() {
  std::vector<std::string> names;
  for (const auto& entry : kArms) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> eval_arm_keys() {
  std::vector<std::string> keys;
  for (const auto& entry : kArms) {
    const Json defaults = entry.make()->write();
    for (const auto& [key, value] : defaults.items()) {
      keys.push_back(fmt::format("{}.{}={}", entry.name, key, value.dump()));
    }
  }
  return keys;
}

std::unique_ptr<Arm> make_arm(std::string_view name) {
  for (const auto& entry : kArms) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

void Arm::read(Fields& map) {
  FieldsReader reader(map);
  fields(reader);
}

Json Arm::write() const {
  FieldsWriter writer;
  const_cast<Arm*>(this)->fields(writer);  // changes what it is given to read only
  return writer.map_written();
}

}  // namespace longspan
