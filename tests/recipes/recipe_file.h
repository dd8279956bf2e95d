#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "recipes/recipe.h"
#include "tests/support/errors.h"

namespace longspan {

class RecipeFile : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Recipe load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    std::ofstream(folder_ / "a.yaml") << text;
    return load_recipe(folder_ / "a.yaml", overrides);
  }
  std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return longspan::error_of([&] { load(text, overrides); }, ExitCode::kRecipe);
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("recipe_test-" + std::to_string(getpid()));
};

inline const std::string kSmallest = R"(model: {path: models/a}
data: {path: a.h5}
train: {steps: 10}
)";

inline const std::string kStaged = R"(model: {path: models/a}
data: {path: a.h5}
rope: {rope_type: yarn, factor: 2}
attention: {pattern: shifted_sparse, group_size: 4096}
train: {seq_len: 16384, gradient_accumulation_steps: 2}
stages:
  - steps: 6
  - {steps: 2, seq_len: 32768, attention: {pattern: full}, rope: {rope_type: linear, factor: 4}}
)";

}  // namespace longspan
