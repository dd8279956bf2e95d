#pragma once

#include <cstdio>
#include <filesystem>
#include <utility>

#include "trainer/observer.h"

namespace longspan {

/// metrics.jsonl: one JSON object a step. When a run goes on from step N, what stands there of
/// later steps (and a line that a kill cut short) is removed first.
class Metrics : public Observer {
 public:
  explicit Metrics(std::filesystem::path file) : path_(std::move(file)) {}
  ~Metrics() override;

  void run_begins(Trainer& trainer) override;
  void step_ended(Trainer& trainer, StepRecord& record) override;

 private:
  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace longspan
