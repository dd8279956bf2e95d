#pragma once

namespace longspan {

// What build/bench can do; `argv` starts at the name. Each returns the exit code.

int attention_bench(int argc, char** argv);
int random_model_bench(int argc, char** argv);

}  // namespace longspan
