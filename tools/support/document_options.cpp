#include "tools/support/document_options.h"

namespace longspan {

DocumentOptions read_document_options(const Arguments& arguments) {
  DocumentOptions options;
  options.text_key = arguments["text-key"];
  options.max_document_option = "--max-document-size";
  options.max_document_bytes = parse_bytes(arguments["max-document-size"], "--max-document-size");
  options.max_window_bytes = parse_bytes(arguments["max-window"], "--max-window");
  options.strict = arguments.given("strict");
  return options;
}

}  // namespace longspan
