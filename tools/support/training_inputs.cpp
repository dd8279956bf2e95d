#include "tools/support/training_inputs.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "checkpoints/hf/config_identity.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/weights_fingerprint.h"
#include "data/store/document_scores.h"
#include "data/store/tokens_fingerprint.h"
#include "recipes/idle_keys.h"
#include "recipes/resume_identity.h"
#include "src/core/digest.h"
#include "tools/support/open_store.h"

namespace longspan {

namespace {

/// passage_rows: see PackerOptions.
std::shared_ptr<const Loader> make_loader(const Recipe& recipe,
                                          std::shared_ptr<const TokenStore> store,
                                          const std::vector<bool>& kept_documents, int64_t seq_len,
                                          int64_t passage_rows, bool trains) {
  LoaderOptions options;
  options.packer = {.seq_len = seq_len,
                    .min_document_tokens = recipe.data.min_document_tokens,
                    .only_full_passages = recipe.data.only_full_passages,
                    .kept_documents = kept_documents,
                    .passage_rows = passage_rows};
  options.seed = recipe.train.seed;
  options.shuffle = trains && recipe.data.shuffle;
  if (trains) {
    options.target_length = recipe.packing.target_length;
    options.packer.document_mask = recipe.packing.document_mask;
  }
  return std::make_shared<const Loader>(std::move(store), options);
}

}  // namespace

TrainingInputs open_training_inputs(const Recipe& recipe) {
  TrainingInputs inputs;
  inputs.model = open_model_source(recipe.model.path);
  inputs.config = read_hf_config(*inputs.model);
  check_recipe_against_model(recipe, inputs.config, inputs.model.get());
  warn_of_idle_keys(recipe, &inputs.config);
  inputs.store = open_store(recipe.data.path, *inputs.model);
  if (!recipe.data.scores.empty()) {
    inputs.kept_documents =
        documents_of_highest_scores(recipe.data.scores, recipe.data.keep_share, *inputs.store);
  }

  std::map<std::string, std::shared_ptr<const TokenStore>> own;
  std::map<std::tuple<std::string, int64_t, int64_t>, std::shared_ptr<const Loader>> shared;
  int64_t longest = 0;
  for (const auto& stage : recipe.stages) {
    const bool has_own = !stage.data_path.empty();
    auto& store = has_own ? own[stage.data_path] : inputs.store;
    if (!store) store = open_store(stage.data_path, *inputs.model);
    const int64_t passage_rows = stage.attention->passage_rows();
    auto& loader = shared[{stage.data_path, stage.seq_len, passage_rows}];
    if (!loader) {
      loader = make_loader(recipe, store, has_own ? std::vector<bool>() : inputs.kept_documents,
                           stage.seq_len, passage_rows, /*trains=*/true);
    }
    inputs.stores.push_back(store);
    inputs.loaders.push_back(loader);
    longest = std::max(longest, stage.seq_len);
  }
  const ValidationOptions& validation = recipe.validation;
  if (!validation.path.empty()) {
    int64_t seq_len = validation.seq_len > 0 ? validation.seq_len : longest;
    inputs.validation = make_loader(recipe, open_store(validation.path, *inputs.model), {}, seq_len,
                                    /*passage_rows=*/0, /*trains=*/false);
  }
  return inputs;
}

Json run_identity(const Recipe& recipe, const TrainingInputs& inputs) {
  Digest config;
  config.update(inputs.model->config_json().dump());
  Json identity = resume_identity(recipe);
  identity["model"]["config"] = config_identity(inputs.config);
  identity["model"]["config_sha256"] = config.hex();  // for checkpoints without `config`
  identity["model"]["weights_sha256"] = weights_fingerprint(*inputs.model);
  const auto add_store = [](Json& map, const TokenStore& store) {
    map["tokens"] = store.info().tokens;
    map["tokens_sha256"] = tokens_fingerprint(store);
    map["tokenizer_fingerprint"] = store.info().tokenizer_fingerprint;
  };
  add_store(identity["data"], *inputs.store);
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    if (recipe.stages[i].data_path.empty()) continue;
    add_store(identity["stages"][i]["data"], *inputs.stores[i]);
  }
  if (!inputs.kept_documents.empty()) {
    Digest kept;
    for (const bool is_kept : inputs.kept_documents) kept.update(is_kept ? "1" : "0");
    identity["data"]["kept_documents_sha256"] = kept.hex();
  }
  return identity;
}

}  // namespace longspan
