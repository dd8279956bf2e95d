#pragma once

#include "trainer/eval/arms/reading_arm.h"
#include "trainer/stage.h"

namespace longspan {

/// The model reads with its RoPE stretched and untrained, by the map of a recipe's `rope`.
class RopeArm : public ReadingArm {
 public:
  std::string_view name() const override { return "rope"; }
  void fields(FieldsIo& io) override;
  void check(const EvalSubject& subject) const override;
  void change(CausalLm& model, int64_t length) const override;

 private:
  std::shared_ptr<const RopeScaling> scaling_;
  std::string on_scaled_ = "replace";
};

/// The same by the name of a formula and its factor: "linear" (position interpolation), "ntk",
/// "yarn". On a model that is scaled already the factor counts from the original length.
class FactorArm : public ReadingArm {
 public:
  explicit FactorArm(std::string_view rope_type) : rope_type_(rope_type) {}

  std::string_view name() const override { return rope_type_; }
  void fields(FieldsIo& io) override;
  void check(const EvalSubject& subject) const override;
  void change(CausalLm& model, int64_t length) const override;

 private:
  std::string rope_type_;
  double factor_ = 0;
};

}  // namespace longspan
