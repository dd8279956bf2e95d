#include "src/rope/compose_rope.h"

#include <algorithm>
#include <cmath>

#include "src/core/text.h"

namespace longspan {

namespace {

constexpr std::string_view kFactor = "factor";

std::string named(const RopeScaling& scaling) {
  return fmt::format("{} x{:.6g}", scaling.rope_type(), scaling.factor());
}

std::shared_ptr<const RopeScaling> read(Json keys, std::string_view rope_type) {
  keys["rope_type"] = rope_type;
  Diagnostics diagnostics;
  std::shared_ptr<const RopeScaling> scaling = read_rope_scaling(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kRecipe);
  return scaling;
}

/// What to do where the two do not fit: the same length by one formula.
std::string advice(const RopeScaling& base, int64_t original, int64_t context,
                   const RopeScaling& extension) {
  double whole = static_cast<double>(context) / static_cast<double>(original) * extension.factor();
  std::string text = fmt::format(
      "choose on_scaled: replace with the factor counted from the original {} positions ({:.6g} "
      "for {})",
      human_count(original), whole,
      human_count(std::llround(static_cast<double>(original) * whole)));
  bool composes = base.rope_type() != "dynamic" && base.rope_type() != "longrope";
  if (!composes || base.rope_type() == extension.rope_type()) return text;
  return text + fmt::format(", or compose with rope_type: {}", base.rope_type());
}

/// The keys besides factor and original length say how frequencies are blended; one formula has
/// room for one value of each.
void require_equal_keys(const RopeScaling& base, int64_t original, const RopeScaling& extension) {
  Json ours = base.write(), theirs = extension.write();
  int64_t stated = extension.original_max_position_embeddings();
  if (stated > 0 && stated != original) {
    fail(ExitCode::kRecipe,
         "{} {} cannot be composed with a model whose original length is {}; leave the key out, or "
         "choose on_scaled: replace",
         kOriginalMaxPositionEmbeddings, stated, original);
  }
  for (const Json* keys : {&ours, &theirs}) {
    for (const auto& [key, unused] : keys->items()) {
      Json before = ours.value(key, Json()), after = theirs.value(key, Json());
      if (key == kFactor || key == kOriginalMaxPositionEmbeddings || before == after) continue;
      std::string same = before.is_null() ? fmt::format("leave {} out", key)
                                          : fmt::format("give {}: {} too", key, before.dump());
      fail(ExitCode::kRecipe,
           "{} is {} in the model and {} in the scaling on top of it, and one {} holds one value; "
           "{}, or choose on_scaled: replace",
           key, before.is_null() ? "not given" : before.dump(),
           after.is_null() ? "not given" : after.dump(), base.rope_type(), same);
    }
  }
}

}  // namespace

const std::vector<std::string>& on_scaled_names() {
  static const std::vector<std::string> names{"error", "replace", "compose"};
  return names;
}

OnScaled parse_on_scaled(const std::string& name, const std::string& option) {
  const auto& names = on_scaled_names();
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    fail(ExitCode::kUsage, "{}: '{}' is not known; expected one of {}", option, name,
         join(names, ", "));
  }
  return static_cast<OnScaled>(found - names.begin());
}

std::shared_ptr<const RopeScaling> compose_rope(const RopeScaling& base, int64_t original,
                                                int64_t context, const RopeScaling& extension) {
  std::string_view type = base.rope_type();
  if (type == "default") return read(extension.write(), extension.rope_type());
  if (extension.rope_type() == "default") return read(base.write(), type);
  if (type == "longrope" || extension.rope_type() == "longrope") {
    fail(ExitCode::kRecipe,
         "the factors of longrope are stated against unscaled RoPE, so {} on top of {} has no one "
         "meaning; {}",
         named(extension), named(base), advice(base, original, context, extension));
  }
  if (type == "dynamic" || extension.rope_type() == "dynamic") {
    fail(ExitCode::kRecipe,
         "dynamic scaling depends on the sequence, so {} on top of {} has no one meaning; {}",
         named(extension), named(base), advice(base, original, context, extension));
  }
  if (type != extension.rope_type()) {
    fail(ExitCode::kRecipe, "no one formula is {} on top of {}; {}", named(extension), named(base),
         advice(base, original, context, extension));
  }
  require_equal_keys(base, original, extension);
  Json keys = extension.write();
  keys[kFactor] = base.factor() * extension.factor();
  if (keys.contains(kOriginalMaxPositionEmbeddings))
    keys[kOriginalMaxPositionEmbeddings] = original;
  return read(std::move(keys), type);
}

}  // namespace longspan
