#include "trainer/optimizer/parameter_groups.h"

#include <gmock/gmock.h>

#include "src/core/fields_reader.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> errors_of(const Json& map) {
  Diagnostics diagnostics;
  Fields given(map, diagnostics);
  FieldsReader reader(given);
  ParameterGroup group;
  fields(reader, group);
  given.finish();
  return diagnostics.errors();
}

TEST(ParameterGroups, APatternIsFoundAnywhereInAName) {
  const std::vector<ParameterGroup> groups{{.pattern = "embed|norm"}, {.pattern = "layers\\.1\\."}};
  EXPECT_EQ(group_of(groups, "model.embed_tokens.weight"), &groups[0]);
  EXPECT_EQ(group_of(groups, "model.layers.1.input_layernorm.weight"), &groups[0]);
  EXPECT_EQ(group_of(groups, "model.layers.1.self_attn.q_proj.lora_A.weight"), &groups[1]);
  EXPECT_EQ(group_of(groups, "model.layers.11.self_attn.q_proj.lora_A.weight"), nullptr);
}

TEST(ParameterGroups, ThoseWithoutWeightsAreNamed) {
  const std::vector<ParameterGroup> groups{
      {.pattern = "norm"}, {.pattern = "nrom"}, {.pattern = "input_layernorm"}};
  EXPECT_THAT(groups_without_weights(groups, {"model.norm.weight", "x.input_layernorm.weight"}),
              ElementsAre(1, 2));
}

TEST(ParameterGroups, WhatIsWrongIsNamed) {
  EXPECT_THAT(errors_of({{"pattern", "norm"}, {"lr", 1e-5}}), IsEmpty());
  EXPECT_THAT(errors_of({{"pattern", "norm"}, {"weight_decay", 0}}), IsEmpty());
  EXPECT_THAT(errors_of({{"lr", 1e-5}}), ElementsAre("pattern: is missing"));
  EXPECT_THAT(errors_of({{"pattern", "("}, {"lr", 1e-5}}),
              ElementsAre(HasSubstr("is no regular expression")));
  EXPECT_THAT(errors_of({{"pattern", "norm"}, {"lr", 0}}),
              ElementsAre("lr: 0 is out of range; expected more than 0"));
  EXPECT_THAT(errors_of({{"pattern", "norm"}}), ElementsAre(HasSubstr("changes nothing")));
}

}  // namespace
}  // namespace longspan
