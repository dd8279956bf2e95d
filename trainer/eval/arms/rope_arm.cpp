#include "trainer/eval/arms/rope_arm.h"

#include <algorithm>
#include <cmath>

#include "trainer/eval/arms/model_change.h"

namespace longspan {

namespace {

void stretch(std::string_view arm, CausalLm& model, std::shared_ptr<const RopeScaling> scaling,
             OnScaled on_scaled) {
  try {
    apply_rope(extend_rope(model.config(), std::move(scaling), on_scaled), model);
  } catch (const Error& e) {
    fail(ExitCode::kUsage, "arm {}: {}", arm, e.what());
  }
}

}  // namespace

void RopeArm::fields(FieldsIo& io) {
  const FieldVariants variants{
      .names = rope_types(),
      .read = [&](Fields map) { scaling_ = read_rope_scaling(std::move(map)); },
      .write = [&] { return scaling_ ? write_rope_scaling(*scaling_) : Json(); },
      .describe = describe_rope_scaling};
  io.variants("scaling", variants, "a map such as {rope_type: yarn, factor: 4}");
  io.choice("on_scaled", on_scaled_, on_scaled_names(),
            "what it means on a model that is scaled already");
}

void RopeArm::check(const EvalSubject& subject) const {
  if (!scaling_) {
    fail(ExitCode::kUsage,
         "arm rope: has no scaling; give one, as --set rope.scaling='{{rope_type: yarn, factor: "
         "4}}'");
  }
  extend_rope(subject.model.config(), scaling_, parse_on_scaled(on_scaled_, "rope.on_scaled"));
}

void RopeArm::change(CausalLm& model, int64_t) const {
  stretch(name(), model, scaling_, parse_on_scaled(on_scaled_, "rope.on_scaled"));
}

void FactorArm::fields(FieldsIo& io) {
  io.number("factor", factor_, {0, 1e6}, "how much longer the context becomes; 0 or from 1",
            {.otherwise = "the whole number of times that the model's original length goes into "
                          "the length"});
  if (factor_ > 0 && factor_ < 1) io.error("factor", "is below 1; expected 0 or from 1");
}

void FactorArm::check(const EvalSubject& subject) const {
  const ModelChange restored(subject.model);
  change(subject.model, 2 * context_length(subject.model.config()).original);
}

void FactorArm::change(CausalLm& model, int64_t length) const {
  const auto original = static_cast<double>(context_length(model.config()).original);
  const double factor =
      factor_ > 0 ? factor_ : std::max(1.0, std::ceil(static_cast<double>(length) / original));
  Diagnostics diagnostics;
  const Json map = {{"rope_type", rope_type_}, {"factor", factor}};
  std::shared_ptr<const RopeScaling> scaling = read_rope_scaling(Fields(map, diagnostics));
  diagnostics.throw_if_any(ExitCode::kUsage);
  stretch(rope_type_, model, std::move(scaling), OnScaled::kReplace);
}

}  // namespace longspan
