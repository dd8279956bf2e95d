#include "src/rope/rope_scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr RopeGeometry kSmolLm{64, 100000.0, 8192};

std::unique_ptr<RopeScaling> scaling_of(const std::string& text) {
  Json json = parse_json(text, "test", ExitCode::kFailure);
  Diagnostics diagnostics;
  auto scaling = read_rope_scaling(Fields(json, diagnostics));
  EXPECT_THAT(diagnostics.errors(), IsEmpty()) << text;
  return scaling;
}

std::vector<std::string> errors_of(const std::string& text) {
  Json json = parse_json(text, "test", ExitCode::kFailure);
  Diagnostics diagnostics;
  read_rope_scaling(Fields(json, diagnostics, "rope"));
  return diagnostics.errors();
}

TEST(RopeScaling, AnAbsentMapIsDefault) {
  EXPECT_EQ(scaling_of("null")->rope_type(), "default");
  EXPECT_EQ(scaling_of("{}")->rope_type(), "default");
}

TEST(RopeScaling, TheOldKeyTypeStillNamesTheFormula) {
  EXPECT_EQ(scaling_of(R"({"type": "linear", "factor": 2})")->rope_type(), "linear");
}

TEST(RopeScaling, RopeTypeWinsOverTypeAsInTransformers) {
  EXPECT_EQ(scaling_of(R"({"type": "linear", "rope_type": "ntk", "factor": 2})")->rope_type(),
            "ntk");
}

TEST(RopeScaling, RopeThetaInsideTheMapIsHandedOut) {
  Json json{{"rope_type", "default"}, {"rope_theta", 500000.0}};
  Diagnostics diagnostics;
  const RopeParameters read = read_rope_parameters(Fields(json, diagnostics), 10000, 1);
  EXPECT_THAT(diagnostics.errors(), IsEmpty());
  EXPECT_EQ(read.rope_theta, 500000.0);
}

TEST(RopeScaling, APartialRotaryFactorInsideTheMapIsHandedOut) {
  Json json{{"rope_type", "default"}, {"partial_rotary_factor", 0.75}};
  Diagnostics diagnostics;
  const RopeParameters read = read_rope_parameters(Fields(json, diagnostics), 10000, 1);
  EXPECT_THAT(diagnostics.errors(), IsEmpty());
  EXPECT_EQ(read.partial_rotary_factor, 0.75);
  EXPECT_EQ(read.rope_theta, 10000);
  EXPECT_EQ(rotated_dimensions(128, read.partial_rotary_factor), 96);
  EXPECT_EQ(rotated_dimensions(90, 0.25), 22);
}

TEST(RopeScaling, ARecipeCannotChangeWhichPartTurns) {
  EXPECT_THAT(errors_of(R"({"rope_type": "default", "partial_rotary_factor": 0.5})"),
              ElementsAre(HasSubstr("rope.partial_rotary_factor: unknown key")));
}

TEST(RopeScaling, SuIsPhi3sFirstNameOfLongRope) {
  auto scaling =
      scaling_of(R"({"type": "su", "factor": 32, "short_factor": [1], "long_factor": [2]})");
  EXPECT_EQ(scaling->rope_type(), "longrope");
  Json completed = complete_rope_parameters({{"type", "su"}}, 4096);
  EXPECT_EQ(completed["original_max_position_embeddings"], 4096);
}

TEST(RopeScaling, PositionsInSpaceAreRefused) {
  EXPECT_THAT(errors_of(R"({"type": "mrope", "mrope_section": [16, 24, 24]})"),
              ElementsAre(HasSubstr("rope.type: 'mrope' is not known")));
  EXPECT_THAT(errors_of(R"({"rope_type": "default", "mrope_section": [16, 24, 24]})"),
              ElementsAre(HasSubstr("rope.mrope_section: unknown key")));
  EXPECT_THAT(errors_of(R"({"rope_type": "axial"})"),
              ElementsAre(HasSubstr("rope.rope_type: 'axial' is not known")));
}

TEST(RopeScaling, AnUnknownTypeNamesTheNearestAndAll) {
  EXPECT_THAT(
      errors_of(R"({"rope_type": "yaarn", "factor": 2})"),
      ElementsAre("rope.rope_type: 'yaarn' is not known; did you mean 'yarn'?; expected one "
                  "of default, linear, dynamic, ntk, yarn, longrope, llama3"));
}

TEST(RopeScaling, AMisspeltKeyNamesTheNearest) {
  EXPECT_THAT(errors_of(R"({"rope_type": "yarn", "facter": 2})"),
              ElementsAre(HasSubstr("rope.factor: is missing; expected"),
                          "rope.facter: unknown key; did you mean 'factor'?"));
}

TEST(RopeScaling, EveryFormulaThatHasAFactorAsksForOneFromOneOn) {
  for (const char* rope_type : {"linear", "dynamic", "ntk", "yarn", "llama3"}) {
    EXPECT_THAT(errors_of(fmt::format(R"({{"rope_type": "{}"}})", rope_type)),
                ElementsAre(HasSubstr("rope.factor: is missing; expected the target length")));
    EXPECT_THAT(errors_of(fmt::format(R"({{"rope_type": "{}", "factor": 0.5}})", rope_type)),
                ElementsAre(HasSubstr("rope.factor: 0.5 is out of range")));
    EXPECT_THAT(errors_of(fmt::format(R"({{"rope_type": "{}", "factor": "2"}})", rope_type)),
                ElementsAre("rope.factor: expected a number, got \"2\""));
  }
}

TEST(RopeScaling, WrittenKeysReadBackTheSame) {
  for (const char* text : {
           R"({"rope_type": "linear", "factor": 2.5})",
           R"({"rope_type": "dynamic", "factor": 2.5})",
           R"({"rope_type": "ntk", "factor": 2.5})",
           R"({"rope_type": "yarn", "factor": 2.5, "original_max_position_embeddings": 100,
               "attention_factor": 1.5, "beta_fast": 30, "beta_slow": 2, "mscale": 0.5,
               "mscale_all_dim": 0.7, "truncate": false})",
           R"({"rope_type": "yarn", "factor": 2.5})",
           R"({"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4], "factor": 2,
               "original_max_position_embeddings": 100, "attention_factor": 1.5})",
           R"({"rope_type": "llama3", "factor": 2.5, "low_freq_factor": 2, "high_freq_factor": 5,
               "original_max_position_embeddings": 100})",
       }) {
    auto scaling = scaling_of(text);
    Json written = scaling->write();
    ASSERT_TRUE(written.is_object()) << text;
    written["rope_type"] = scaling->rope_type();
    auto again = scaling_of(written.dump());
    EXPECT_EQ(again->write(), scaling->write());
    EXPECT_EQ(again->factor(), scaling->factor());
    EXPECT_EQ(again->original_max_position_embeddings(),
              scaling->original_max_position_embeddings());
  }
}

TEST(RopeScaling, ANumberThatConfigJsonLacksIsFilledInAsTransformersDoes) {
  Json yarn = complete_rope_parameters(
      {{"rope_type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 100}}, 400);
  EXPECT_EQ(yarn["factor"], 4.0);
  EXPECT_EQ(complete_rope_parameters({{"type", "llama3"}, {"factor", 8}},
                                     400)["original_max_position_embeddings"],
            400);
  Json linear{{"type", "linear"}};
  EXPECT_EQ(complete_rope_parameters(linear, 400), linear);
  EXPECT_EQ(complete_rope_parameters(nullptr, 400), nullptr);
  EXPECT_EQ(complete_rope_parameters("yarn", 400), "yarn");
}

TEST(RopeScaling, AnEntryStatesTheOriginalLength) {
  Json entry = scaling_of(R"({"rope_type": "yarn", "factor": 2})")->config_entry(kSmolLm);
  EXPECT_EQ(entry["rope_theta"], 100000.0);
  EXPECT_EQ(entry["rope_type"], "yarn");
  EXPECT_EQ(entry["original_max_position_embeddings"], 8192);
}

TEST(RopeScaling, AFactorOfOneChangesNothing) {
  auto unscaled = unscaled_inv_freq(kSmolLm);
  for (const char* rope_type : {"linear", "dynamic", "ntk", "yarn", "llama3"}) {
    auto scaling = scaling_of(fmt::format(R"({{"rope_type": "{}", "factor": 1}})", rope_type));
    auto scaled = scaling->frequencies(kSmolLm, 8192);
    EXPECT_EQ(scaled.attention_factor, 1.0);
    for (size_t i = 0; i < unscaled.size(); ++i) {
      EXPECT_NEAR(scaled.inv_freq[i], unscaled[i], 1e-12) << rope_type;
    }
  }
}

TEST(NtkRope, DividesTheLowestFrequencyAndKeepsTheHighest) {
  auto unscaled = unscaled_inv_freq(kSmolLm);
  auto scaled =
      scaling_of(R"({"rope_type": "ntk", "factor": 4})")->frequencies(kSmolLm, 1).inv_freq;
  EXPECT_EQ(scaled.front(), 1.0);
  EXPECT_NEAR(scaled.back(), unscaled.back() / 4, 1e-6 * unscaled.back());
}

TEST(NtkRope, IsADefaultOfLargerThetaToTransformers) {
  auto ntk = scaling_of(R"({"rope_type": "ntk", "factor": 4})");
  Json entry = ntk->config_entry(kSmolLm);
  EXPECT_EQ(entry["rope_type"], "default");
  EXPECT_FALSE(entry.contains("factor"));
  RopeGeometry stated = kSmolLm;
  stated.rope_theta = entry["rope_theta"];
  EXPECT_EQ(unscaled_inv_freq(stated), ntk->frequencies(kSmolLm, 1).inv_freq);
}

TEST(DynamicRope, ScalesOnlyBeyondTheOriginalLength) {
  auto dynamic = scaling_of(R"({"rope_type": "dynamic", "factor": 2})");
  auto unscaled = unscaled_inv_freq(kSmolLm);
  EXPECT_EQ(dynamic->frequencies(kSmolLm, 8192).inv_freq, unscaled);
  EXPECT_LT(dynamic->frequencies(kSmolLm, 8193).inv_freq.back(), unscaled.back());
}

TEST(LongRope, SwitchesBeyondTheOriginalLength) {
  auto longrope = scaling_of(
      R"({"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [2, 4], "factor": 4,
          "original_max_position_embeddings": 100})");
  RopeGeometry tiny{4, 10000.0, 400};
  auto unscaled = unscaled_inv_freq(tiny);
  EXPECT_EQ(longrope->frequencies(tiny, 100).inv_freq, unscaled);
  EXPECT_EQ(longrope->frequencies(tiny, 101).inv_freq[1], unscaled[1] / 4);
}

// The ends of the ramp that the paper's formula gives for Llama-2: dimensions 20 and 46.
TEST(YarnRope, KeepsTheFirstPairsAndInterpolatesTheLast) {
  RopeGeometry llama2{128, 10000.0, 4096};
  auto unscaled = unscaled_inv_freq(llama2);
  auto scaled = scaling_of(R"({"rope_type": "yarn", "factor": 16})")->frequencies(llama2, 1);
  EXPECT_EQ(scaled.inv_freq[20], unscaled[20]);
  EXPECT_LT(scaled.inv_freq[21], unscaled[21]);
  EXPECT_GT(scaled.inv_freq[45], unscaled[45] / 16);
  EXPECT_DOUBLE_EQ(scaled.inv_freq[46], unscaled[46] / 16);
  EXPECT_NEAR(scaled.attention_factor, 1.27726, 1e-5);
}

TEST(YarnRope, TheKeyOfTheAuthorsOwnModelsIsKnown) {
  EXPECT_THAT(errors_of(R"({"type": "yarn", "factor": 16.0, "finetuned": true,
                            "original_max_position_embeddings": 4096})"),
              IsEmpty());
}

TEST(YarnRope, BetasTheWrongWayRoundAreAnError) {
  EXPECT_THAT(errors_of(R"({"rope_type": "yarn", "factor": 2, "beta_fast": 1, "beta_slow": 32})"),
              ElementsAre(HasSubstr("rope.beta_fast: 1 is below beta_slow 32")));
}

TEST(LongRope, AListOfTheWrongLengthIsTheModelsFault) {
  auto longrope = scaling_of(
      R"({"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [2], "factor": 2})");
  RopeGeometry tiny{4, 10000.0, 100};
  EXPECT_EQ(longrope->frequencies(tiny, 100).inv_freq, unscaled_inv_freq(tiny));
  EXPECT_THAT(error_of([&] { longrope->frequencies(tiny, 101); }, ExitCode::kModel),
              HasSubstr("longrope: long_factor has 1 numbers, 4 rotated dimensions need 2"));
}

TEST(LongRope, AFactorOfZeroIsAnError) {
  EXPECT_THAT(errors_of(R"({"rope_type": "longrope", "factor": 2, "short_factor": [1, 0],
                            "long_factor": [1, 1]})"),
              ElementsAre(HasSubstr("rope.short_factor: 0 is not above 0")));
}

TEST(UnscaledInvFreq, AGeometryThatCannotTurnIsTheModelsFault) {
  for (RopeGeometry bad :
       {RopeGeometry{7, 1e4, 100}, RopeGeometry{0, 1e4, 100}, RopeGeometry{8, 1.0, 100},
        RopeGeometry{8, NAN, 100}, RopeGeometry{8, INFINITY, 100}, RopeGeometry{8, 1e4, 0}}) {
    EXPECT_THROW(unscaled_inv_freq(bad), Error);
  }
}

TEST(RopeScaling, AnUnknownKeyIsAnErrorButNotInAConfig) {
  const Json json{{"rope_type", "linear"}, {"factor", 2}, {"mscale", 1}};
  Diagnostics strict, lenient;
  read_rope_scaling(Fields(json, strict, "rope"));
  EXPECT_THAT(strict.errors(), ElementsAre(HasSubstr("rope.mscale: unknown key")));
  const RopeParameters read = read_rope_parameters(Fields(json, lenient, "rope"), 10000, 1);
  EXPECT_TRUE(lenient.empty());
  EXPECT_THAT(read.unknown, ElementsAre("mscale"));
  EXPECT_EQ(read.scaling->factor(), 2);
}

// PhimoeRotaryEmbedding of transformers 5.23: mscale by length, in place of the attention factor.
TEST(RopeScaling, PhisMscalesStandForTheAttentionFactor) {
  const std::string longrope =
      R"({"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4], "factor": 2,
          "original_max_position_embeddings": 100, )";
  const RopeGeometry geometry{4, 10000.0, 200};
  auto factors = [&](const std::string& keys) {
    auto scaling = scaling_of(longrope + keys + "}");
    return std::pair(scaling->frequencies(geometry, 100).attention_factor,
                     scaling->frequencies(geometry, 101).attention_factor);
  };
  EXPECT_EQ(factors(R"("short_mscale": 1.1, "long_mscale": 1.3)"), std::pair(1.1, 1.3));
  EXPECT_EQ(factors(R"("short_mscale": 1.1, "long_mscale": 1.3, "attention_factor": 1.5)"),
            std::pair(1.1, 1.3));
  auto alike = scaling_of(longrope + R"("short_mscale": 1.2, "long_mscale": 1.2})");
  EXPECT_EQ(alike->write()["attention_factor"], 1.2);
  EXPECT_FALSE(alike->write().contains("short_mscale"));
  EXPECT_THAT(errors_of(longrope + R"("short_mscale": 1.2})"),
              ElementsAre(HasSubstr("rope.long_mscale: is missing")));
}

}  // namespace
}  // namespace longspan
