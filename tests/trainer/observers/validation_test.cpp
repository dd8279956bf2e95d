#include "trainer/observers/validation.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/trainer/logit_losses.h"
#include "tests/trainer/trainer_run.h"
#include "trainer/loss.h"

namespace longspan {
namespace {

TEST_F(TrainerRun, ValidatesEverySoManyStepsAndAtTheEndWithoutDisturbing) {
  auto plain = model(), watched = model();
  trainer(*plain, two_stages())->run();
  auto expected = losses(records_);
  records_.clear();

  std::vector<StepRecord> with_validation;
  std::vector<std::shared_ptr<const Loader>> loaders = {loader(32), loader(96)};
  Trainer run(*watched, two_stages(), loaders, options_);
  ValidationOptions options{.every_steps = 4, .sequences = 2};
  run.add(std::make_unique<Validation>(options, loader(96, false)))
      .add(std::make_unique<Recorder>(with_validation))
      .run();
  EXPECT_EQ(losses(with_validation), expected);
  for (const auto& record : with_validation) {
    bool due = record.step == 4 || record.step == 6;
    EXPECT_EQ(record.validation_loss.has_value(), due) << record.step;
  }

  // At the end the model is that of the last validation. Its loss from the definition: the mean of
  // the cross entropies of the labels, of two rows of 96 tokens.
  const auto rows = loader(96, false);
  double loss = 0;
  int64_t labelled_tokens = 0;
  for (int64_t row : rows->rows_over_documents(2, 0)) {
    const Batch batch = rows->batch(row);
    const at::Tensor losses = logit_losses(*watched, batch);
    loss += losses.sum().item<double>();
    labelled_tokens += batch.labelled_tokens;
  }
  EXPECT_NEAR(*with_validation.back().validation_loss, loss / static_cast<double>(labelled_tokens),
              1e-6);
}

TEST_F(TrainerRun, ValidationDropsNothing) {
  lora_.lora_dropout = 0.5;
  auto tiny = model();
  auto run = std::make_unique<Trainer>(*tiny, one_stage(3), std::vector{loader(32)}, options_);
  run->add(std::make_unique<Validation>(ValidationOptions{.every_steps = 1, .sequences = 1},
                                        loader(32)));
  run->add(std::make_unique<Recorder>(records_));
  run->run();
  const int64_t row = loader(32)->rows_over_documents(1, /*seed=*/0)[0];
  const Batch batch = loader(32)->batch(row);
  const double sum = loss_sum(*tiny, batch, 16).item<double>();
  ASSERT_TRUE(records_.back().validation_loss);
  EXPECT_DOUBLE_EQ(*records_.back().validation_loss,
                   sum / static_cast<double>(batch.labelled_tokens));
}

TEST_F(TrainerRun, ValidationWithoutALabelIsRefusedBeforeTheFirstStep) {
  TokenStoreWriter writer(folder_ / "unlearned.h5", "tiny", 61);
  writer.append("read alone", std::vector<int32_t>(97, 7), std::vector<uint8_t>(97));
  writer.commit();
  store_ = std::make_shared<const TokenStore>(folder_ / "unlearned.h5");
  const ValidationOptions options{.path = "v.h5", .sequences = 2};
  EXPECT_THAT(error_of([&] { Validation(options, loader(32, false)); }, ExitCode::kData),
              testing::HasSubstr("v.h5: none of the 2 rows of validation has a token"));
}

}  // namespace
}  // namespace longspan
