#pragma once

#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// The model reads by STRING. The shift is a third of the model's length, as its authors have it,
/// and more where the text is longer than the model: so that no distance is beyond its length, or,
/// of more than twice that, beyond a half of the text.
class StringArm : public ReadingArm {
 public:
  std::string_view name() const override { return "string"; }
  void fields(FieldsIo& io) override;
  void change(CausalLm& model, int64_t length) const override;

 private:
  int64_t shift_ = 0;
  int64_t local_ = 128;
};

/// The model reads by dual chunk attention, with the chunks of its authors: no distance is beyond
/// three quarters of the model's length.
class DualChunkArm : public ReadingArm {
 public:
  std::string_view name() const override { return "dual_chunk"; }
  void fields(FieldsIo& io) override;
  void change(CausalLm& model, int64_t length) const override;

 private:
  int64_t chunk_tokens_ = 0;
};

}  // namespace longspan
