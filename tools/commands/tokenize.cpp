#include <fmt/ranges.h>

#include <cstdio>
#include <iostream>
#include <iterator>

#include "src/core/json.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/read_text.h"
#include "tools/support/text_model.h"

namespace longspan {

namespace {

constexpr Option kTokenizeArguments[] = {
    {"model", "MODEL", "", "model folder, GGUF file or ORG/NAME"},
    {"file", "FILE...", "",
     "UTF-8 text, or with --decode a JSON list of ids; - reads standard input"},
};
constexpr Option kTokenizeOptions[] = {
    {"decode", "", "", "from ids to text"},
};

std::string read_input(const std::string& name) {
  if (name != "-") return read_file(name, ExitCode::kData);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

std::vector<int32_t> read_ids(const std::string& text, const std::string& place) {
  Json list = parse_json(text, place, ExitCode::kData);
  if (!list.is_array()) fail(ExitCode::kData, "{}: expected a JSON list of token ids", place);
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const auto& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() != id.get<int32_t>()) {
      fail(ExitCode::kData, "{}: {} at place {} is no token id", place,
           id.dump(-1, ' ', true).substr(0, 40), ids.size());
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

int run_tokenize(const Arguments& arguments) {
  auto tokenizer = open_text_model(arguments["model"]).tokenizer;
  for (const std::string& file : arguments.all("file")) {
    const std::string place = file == "-" ? "standard input" : file;
    std::string output;
    if (arguments.given("decode")) {
      output = tokenizer->decode_whole(read_ids(read_input(file), place));
    } else {
      const std::string text = repaired_text(read_input(file), place);
      output = fmt::format("[{}]\n", fmt::join(tokenizer->encode(text), ", "));
    }
    std::fwrite(output.data(), 1, output.size(), stdout);  // main() looks whether it came through
  }
  return 0;
}

}  // namespace

constinit const Command kTokenizeCommand{
    .name = "tokenize",
    .summary = "text to token ids and back",
    .description =
        "Print the token ids of each text as a JSON list on a line of its own, or the text of ids. "
        "Added tokens in the text are recognised; none is put in.",
    .example =
        "  longspan tokenize models/SmolLM2-135M-Instruct book.txt > ids.json\n"
        "  longspan tokenize models/SmolLM2-135M-Instruct ids.json --decode",
    .arguments = kTokenizeArguments,
    .options = {kTokenizeOptions},
    .run = run_tokenize,
};

}  // namespace longspan
