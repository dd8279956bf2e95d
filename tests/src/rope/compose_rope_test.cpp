#include "src/rope/compose_rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace longspan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr RopeGeometry kSmolLmRope{64, 100000.0, 8192};

std::shared_ptr<const RopeScaling> rope(const Json& json) {
  Diagnostics diagnostics;
  std::shared_ptr<const RopeScaling> scaling = read_rope_scaling(Fields(json, diagnostics));
  diagnostics.throw_if_any(ExitCode::kFailure);
  return scaling;
}

/// A base that takes 8,192 positions to 32,768.
std::shared_ptr<const RopeScaling> compose(const Json& base, const Json& extension) {
  return compose_rope(*rope(base), 8192, 32768, *rope(extension));
}

std::string compose_error(const Json& base, const Json& extension) {
  return error_of([&] { compose(base, extension); }, ExitCode::kRecipe);
}

TEST(ComposeRope, LinearOnLinearIsTheOneAfterTheOther) {
  auto both =
      compose({{"rope_type", "linear"}, {"factor", 4}}, {{"rope_type", "linear"}, {"factor", 2}});
  auto once = rope({{"rope_type", "linear"}, {"factor", 4}})->frequencies(kSmolLmRope, 1).inv_freq;
  auto twice = both->frequencies(kSmolLmRope, 1).inv_freq;
  for (size_t i = 0; i < once.size(); ++i) EXPECT_DOUBLE_EQ(twice[i], once[i] / 2);
}

TEST(ComposeRope, NtkOnNtkIsTheOneAfterTheOther) {
  Json ntk{{"rope_type", "ntk"}, {"factor", 2}};
  RopeGeometry once = kSmolLmRope;
  once.rope_theta = rope(ntk)->config_entry(kSmolLmRope)["rope_theta"];
  auto twice = rope(ntk)->frequencies(once, 1).inv_freq;
  auto both = compose(ntk, ntk)->frequencies(kSmolLmRope, 1).inv_freq;
  for (size_t i = 0; i < twice.size(); ++i) EXPECT_NEAR(both[i], twice[i], 1e-6 * twice[i]);
}

TEST(ComposeRope, YarnOnYarnCountsFromTheFirstOriginalLength) {
  Json base{{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 8192}};
  auto both = compose(base, {{"rope_type", "yarn"}, {"factor", 2}});
  EXPECT_EQ(both->rope_type(), "yarn");
  EXPECT_EQ(both->factor(), 8);
  EXPECT_EQ(both->original_max_position_embeddings(), 8192);
}

TEST(ComposeRope, Llama3OnLlama3CountsFromTheFirstOriginalLength) {
  Json base{{"rope_type", "llama3"}, {"factor", 4}, {"original_max_position_embeddings", 8192}};
  auto both = compose(base, {{"rope_type", "llama3"}, {"factor", 2}});
  EXPECT_EQ(both->factor(), 8);
  EXPECT_EQ(both->original_max_position_embeddings(), 8192);
}

TEST(ComposeRope, DefaultIsNeutralOnBothSides) {
  Json yarn{{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 8192}};
  Json unscaled{{"rope_type", "default"}};
  EXPECT_EQ(compose(yarn, unscaled)->write(), rope(yarn)->write());
  EXPECT_EQ(compose(unscaled, yarn)->write(), rope(yarn)->write());
}

TEST(ComposeRope, AKeyThatDiffersIsNamedWithBothValues) {
  Json base{{"rope_type", "yarn"}, {"factor", 4}, {"beta_fast", 20}};
  Json extension{{"rope_type", "yarn"}, {"factor", 2}};
  EXPECT_THAT(compose_error(base, extension),
              AllOf(HasSubstr("beta_fast is 20.0 in the model and 32.0"),
                    HasSubstr("give beta_fast: 20.0 too")));
  extension["beta_fast"] = 20;
  EXPECT_EQ(compose(base, extension)->write()["beta_fast"], 20);
}

TEST(ComposeRope, AnAttentionFactorOfTheModelMustBeSaidAgain) {
  Json base{{"rope_type", "yarn"}, {"factor", 4}, {"attention_factor", 1.1}};
  Json extension{{"rope_type", "yarn"}, {"factor", 2}};
  EXPECT_THAT(compose_error(base, extension),
              HasSubstr("attention_factor is 1.1 in the model and not"));
  EXPECT_THAT(compose_error(extension, base), HasSubstr("leave attention_factor out"));
}

TEST(ComposeRope, AnotherOriginalLengthIsRefused) {
  Json base{{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 8192}};
  Json extension{{"rope_type", "yarn"}, {"factor", 2}, {"original_max_position_embeddings", 32768}};
  EXPECT_THAT(compose_error(base, extension), HasSubstr("leave the key out"));
}

TEST(ComposeRope, TwoFormulasAreRefusedWithWhatToChoose) {
  std::string error = compose_error({{"rope_type", "llama3"}, {"factor", 4}},
                                    {{"rope_type", "yarn"}, {"factor", 2}});
  EXPECT_THAT(error, HasSubstr("no one formula is yarn x2 on top of llama3 x4"));
  EXPECT_THAT(error, HasSubstr("replace with the factor counted from the original 8,192 positions "
                               "(8 for 65,536)"));
  EXPECT_THAT(error, HasSubstr("compose with rope_type: llama3"));
}

TEST(ComposeRope, LongRopeAndDynamicComposeWithNothing) {
  Json dynamic{{"rope_type", "dynamic"}, {"factor", 2}};
  Json linear{{"rope_type", "linear"}, {"factor", 2}};
  Json longrope{{"rope_type", "longrope"},
                {"factor", 4},
                {"short_factor", {1.0, 1.0}},
                {"long_factor", {1.0, 4.0}}};
  for (const Json& other : {dynamic, linear, longrope}) {
    for (const Json& one : {dynamic, longrope}) {
      EXPECT_THAT(compose_error(one, other), HasSubstr("on_scaled: replace"));
      EXPECT_THAT(compose_error(other, one), HasSubstr("on_scaled: replace"));
    }
  }
}

TEST(OnScaled, NamesAreReadAndOthersRefused) {
  EXPECT_EQ(parse_on_scaled("error", "--on-scaled"), OnScaled::kError);
  EXPECT_EQ(parse_on_scaled("replace", "--on-scaled"), OnScaled::kReplace);
  EXPECT_EQ(parse_on_scaled("compose", "--on-scaled"), OnScaled::kCompose);
  EXPECT_THROW(parse_on_scaled("add", "--on-scaled"), Error);
}

}  // namespace
}  // namespace longspan
