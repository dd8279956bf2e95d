#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "src/rope/rope_scaling.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using ::testing::SizeIs;

// tests/reference/make_rope_golden.py made the file; it names the version of transformers.
Json golden() {
  return read_json_file(reference_folder() / "rope_golden.json", ExitCode::kFailure);
}

RopeGeometry geometry_of(const Json& json) {
  int64_t head_dim = rotated_dimensions(json["head_dim"], json.value("partial_rotary_factor", 1.0));
  return {head_dim, json["rope_theta"], json["max_position_embeddings"]};
}

std::string type_of(const Json& expected) {
  const Json& parameters = expected["rope_parameters"];
  return parameters.value("rope_type", parameters.value("type", ""));
}

std::unique_ptr<RopeScaling> read_complete(const Json& parameters,
                                           int64_t max_position_embeddings) {
  Diagnostics diagnostics("golden");
  Json complete = complete_rope_parameters(parameters, max_position_embeddings);
  auto scaling = read_rope_scaling(Fields(complete, diagnostics));
  EXPECT_THAT(diagnostics.errors(), SizeIs(0)) << parameters;
  return scaling;
}

TEST(RopeGolden, EqualsTransformersToOneMillionth) {
  Json file = golden();
  ASSERT_THAT(file["cases"], SizeIs(97));
  for (const Json& expected : file["cases"]) {
    RopeGeometry geometry = geometry_of(expected["geometry"]);
    auto scaling = read_complete(expected["rope_parameters"], geometry.max_position_embeddings);
    for (const Json& at_length : expected["frequencies"]) {
      SCOPED_TRACE(fmt::format("{} {} at {}", expected["model"].dump(),
                               expected["rope_parameters"].dump().substr(0, 200),
                               at_length["seq_len"].dump()));
      RopeFrequencies ours = scaling->frequencies(geometry, at_length["seq_len"]);
      auto theirs = at_length["inv_freq"].get<std::vector<double>>();
      ASSERT_EQ(ours.inv_freq.size(), theirs.size());
      for (size_t i = 0; i < theirs.size(); ++i) {
        EXPECT_NEAR(ours.inv_freq[i], theirs[i], 1e-6 * theirs[i]) << "pair " << i;
      }
      double factor = at_length["attention_factor"];
      EXPECT_NEAR(ours.attention_factor, factor, 1e-6 * factor);
    }
  }
}

TEST(RopeGolden, UnscaledEqualsTransformersToTheLastBit) {
  Json file = golden();
  for (const Json& expected : file["cases"]) {
    if (type_of(expected) != "default") continue;
    auto ours = unscaled_inv_freq(geometry_of(expected["geometry"]));
    auto theirs = expected["frequencies"][0]["inv_freq"].get<std::vector<float>>();
    EXPECT_EQ(std::vector<float>(ours.begin(), ours.end()), theirs) << expected["model"];
  }
}

TEST(RopeGolden, AConfigEntryReadAgainGivesTheSameFrequencies) {
  Json file = golden();
  for (const Json& expected : file["cases"]) {
    RopeGeometry geometry = geometry_of(expected["geometry"]);
    auto scaling = read_complete(expected["rope_parameters"], geometry.max_position_embeddings);
    Json entry = scaling->config_entry(geometry);
    SCOPED_TRACE(entry.dump());
    RopeGeometry again = geometry;
    Diagnostics diagnostics;
    const RopeParameters read = read_rope_parameters(Fields(entry, diagnostics), 0, 1);
    ASSERT_THAT(diagnostics.errors(), SizeIs(0));
    EXPECT_EQ(read.rope_theta, geometry.rope_theta);
    again.rope_theta = read.rope_theta;
    for (int64_t seq_len : {geometry.max_position_embeddings / 2, 100000l}) {
      EXPECT_EQ(read.scaling->frequencies(again, seq_len).inv_freq,
                scaling->frequencies(geometry, seq_len).inv_freq);
      EXPECT_EQ(read.scaling->frequencies(again, seq_len).attention_factor,
                scaling->frequencies(geometry, seq_len).attention_factor);
    }
  }
}

TEST(RopeGolden, CoversEveryTypeThatTransformersKnows) {
  std::set<std::string> seen{"ntk"};  // transformers has no such type
  Json file = golden();
  for (const Json& expected : file["cases"]) seen.insert(type_of(expected));
  for (const auto& rope_type : rope_types()) EXPECT_TRUE(seen.contains(rope_type)) << rope_type;
}

}  // namespace
}  // namespace longspan
