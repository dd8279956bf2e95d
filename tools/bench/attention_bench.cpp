// Rates of the attention patterns against LibTorch's scaled_dot_product_attention and a linear
// layer, in one process.

#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "src/attention/attention.h"
#include "src/core/json.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/bench/bench.h"
#include "tools/bench/timing.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr std::string_view kAttentionBenchExample =
    "  bench attention --threads 1 --lengths 1K,4K --head-dims 64,128 --json > attention.json";

struct Shape {
  std::string pattern;  // "full", "s2"
  int64_t head_dim, query_heads, key_value_heads, length;
  int64_t group_size;  // of full attention: the length
};

std::shared_ptr<AttentionPattern> pattern_of(const Shape& shape) {
  Json options{{"pattern", "full"}};
  if (shape.pattern == "s2") {
    options = {{"pattern", "shifted_sparse"}, {"group_size", shape.group_size}};
  }
  Diagnostics diagnostics("bench attention");
  auto pattern = read_attention_pattern(Fields(options, diagnostics));
  diagnostics.throw_if_any(ExitCode::kUsage);
  return pattern;
}

at::Tensor random_heads(int64_t rows, int64_t heads, int64_t length, int64_t head_dim) {
  return at::randn({rows, length, heads, head_dim}, at::kBFloat16).transpose(1, 2);
}

/// A way to attend, its operands and its best times.
class Contender {
 public:
  using Attend =
      std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)>;

  Contender(at::Tensor q, at::Tensor k, at::Tensor v, double pairs, Attend attend)
      : q_(std::move(q)),
        k_(std::move(k)),
        v_(std::move(v)),
        grad_out_(random_heads(q_.size(0), q_.size(1), q_.size(2), q_.size(3))),
        gflop_(4e-9 * pairs * static_cast<double>(q_.size(3))),
        attend_(std::move(attend)) {
    for (at::Tensor* x : {&q_, &k_, &v_}) x->requires_grad_(true);
  }

  void run() {
    const double start = seconds_now();
    const at::Tensor out = attend_(q_, k_, v_);
    const double middle = seconds_now();
    out.backward(grad_out_);
    const double end = seconds_now();
    forward_seconds_ = std::min(forward_seconds_, middle - start);
    backward_seconds_ = std::min(backward_seconds_, end - middle);
    for (at::Tensor* x : {&q_, &k_, &v_}) x->mutable_grad().reset();
  }

  /// 4 FLOPs a scored pair and dimension forward, 2.5 times that backward (5 products for 2).
  double forward_gflops() const { return gflop_ / forward_seconds_; }
  double backward_gflops() const { return 2.5 * gflop_ / backward_seconds_; }

 private:
  at::Tensor q_, k_, v_, grad_out_;
  double gflop_;
  Attend attend_;
  double forward_seconds_ = 1e30, backward_seconds_ = 1e30;
};

/// Without rotation, as SDPA.
Contender pattern_contender(const Shape& shape) {
  const auto heads = [&](int64_t count) {
    return random_heads(1, count, shape.length, shape.head_dim);
  };
  const auto pattern = pattern_of(shape);
  const int64_t pairs = pattern->scored_pairs(shape.length, shape.query_heads);
  return {heads(shape.query_heads), heads(shape.key_value_heads), heads(shape.key_value_heads),
          static_cast<double>(pairs),
          [pattern](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
            const Rotary no_rotation;
            return pattern->attend({q, k, v}, {.rotary = no_rotation, .document_ids = {}});
          }};
}

/// As Python's peers call it: groups as rows of a batch, keys and values repeated for each query
/// head. Neither the repetition nor the roll of shifted heads is in its time.
Contender sdpa_of(const Shape& shape) {
  const int64_t group = shape.group_size, groups = shape.length / group;
  const auto heads = [&](int64_t count) {
    return random_heads(groups, count, group, shape.head_dim)
        .repeat_interleave(shape.query_heads / count, 1);
  };
  const double pairs = 0.5 * static_cast<double>(group) * static_cast<double>(group + 1) *
                       static_cast<double>(groups * shape.query_heads);
  return {heads(shape.query_heads), heads(shape.key_value_heads), heads(shape.key_value_heads),
          pairs, [](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
            return at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                                    /*is_causal=*/true);
          }};
}

Json measure(const Shape& shape) {
  LinearLayer linear;
  Contender ours = pattern_contender(shape), sdpa = sdpa_of(shape);
  run_in_turn({[&] { linear.run(); }, [&] { ours.run(); }, [&] { sdpa.run(); }});
  const auto rounded = [](double rate) { return std::round(rate * 10) / 10; };
  return {{"pattern", shape.pattern},
          {"head_dim", shape.head_dim},
          {"query_heads", shape.query_heads},
          {"key_value_heads", shape.key_value_heads},
          {"length", shape.length},
          {"group_size", shape.group_size},
          {"forward_gflops", rounded(ours.forward_gflops())},
          {"backward_gflops", rounded(ours.backward_gflops())},
          {"sdpa_forward_gflops", rounded(sdpa.forward_gflops())},
          {"sdpa_backward_gflops", rounded(sdpa.backward_gflops())},
          {"linear_gflops", rounded(linear.gflops())}};
}

std::vector<std::string> cells(const Json& row) {
  const auto rate = [&](const char* key) { return row[key].get<double>(); };
  const auto rates = [&](const std::string& pass) {
    return fmt::format("{:.0f}", rate((pass + "_gflops").c_str()));
  };
  const auto ratio = [&](const char* of, const char* to) {
    return fmt::format("{:.2f}", rate(of) / rate(to));
  };
  return {row["pattern"],
          row["head_dim"].dump(),
          row["query_heads"].dump() + "/" + row["key_value_heads"].dump(),
          row["length"].dump(),
          row["group_size"].dump(),
          rates("forward"),
          rates("backward"),
          rates("sdpa_forward"),
          rates("sdpa_backward"),
          rates("linear"),
          ratio("forward_gflops", "sdpa_forward_gflops"),
          ratio("backward_gflops", "sdpa_backward_gflops"),
          ratio("forward_gflops", "linear_gflops"),
          ratio("backward_gflops", "linear_gflops")};
}

/// Every combination; SmolLM2's heads at a head_dim of 64, else 8 that share 2.
std::vector<Shape> read_shapes(const cxxopts::ParseResult& parsed) {
  const auto lengths = parse_lengths(parsed["lengths"].as<std::string>(), "--lengths");
  const auto patterns = split(parsed["patterns"].as<std::string>(), ',');
  std::vector<Shape> shapes;
  for (const std::string& pattern : patterns) {
    if (pattern != "full" && pattern != "s2") {
      fail(ExitCode::kUsage, "--patterns: '{}' is not known; expected full or s2", pattern);
    }
    for (int64_t head_dim : parse_lengths(parsed["head-dims"].as<std::string>(), "--head-dims")) {
      for (int64_t length : lengths) {
        if (length < 8 || length % 4 != 0) {
          fail(ExitCode::kUsage, "--lengths: {} cannot be cut into 4 groups; expected a multiple",
               length);
        }
        shapes.push_back({pattern, head_dim, head_dim == 64 ? 9 : 8, head_dim == 64 ? 3 : 2, length,
                          pattern == "full" ? length : length / 4});
      }
    }
  }
  return shapes;
}

}  // namespace

int attention_bench(int argc, char** argv) {
  cxxopts::Options options("bench attention",
                           "GFLOP/s of the attention patterns, of LibTorch's "
                           "scaled_dot_product_attention and of a bfloat16 at::linear. With one "
                           "thread the time is CPU time, else wall time.\n");
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  options.add_options(
      "", {{"threads", "0: one a core", cxxopts::value<int64_t>()->default_value("0"), "N"},
           {"lengths", "tokens", text("1K,4K,16K,32K"), "LIST"},
           {"head-dims", "", text("64,128"), "LIST"},
           {"patterns", "full, s2 (groups of a quarter of the length)", text("full,s2"), "LIST"},
           {"json", "print the rows as JSON instead of a table"}});
  auto parsed = parse_bench_options(options, argc, argv, kAttentionBenchExample);
  if (!parsed) return 0;
  const std::vector<Shape> shapes = read_shapes(*parsed);
  set_bench_threads((*parsed)["threads"].as<int64_t>());
  Table table{fmt::format("GFLOP/s, {} threads, bfloat16", at::get_num_threads()),
              {"pattern", "D", "heads", "length", "group", "forward", "backward", "SDPA fwd",
               "SDPA bwd", "linear", "fwd/SDPA", "bwd/SDPA", "fwd/linear", "bwd/linear"}};
  Json rows = Json::array();
  for (const Shape& shape : shapes) {
    rows.push_back(measure(shape));
    table.rows.push_back(cells(rows.back()));
    log_info("{}", fmt::join(table.rows.back(), "  "));
  }
  fmt::print("{}", parsed->count("json") ? rows.dump(2) + "\n" : text_table(table));
  return 0;
}

}  // namespace longspan
