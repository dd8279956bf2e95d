#include "data/documents/document_format.h"
#include "data/documents/encoding.h"
#include "src/core/error.h"

namespace longspan {

namespace {

/// The file is the document.
class PlainText : public DocumentReader {
 public:
  PlainText(TextFile& file, DocumentReport& report) : file_(file), report_(report) {}

  std::optional<Document> next() override {
    if (done_) return std::nullopt;
    done_ = true;
    const std::string name = file_.path().string();
    std::string text = file_.rest();
    const auto replaced = repair_text(text, name, file_.path());
    if (size_t nul = text.find('\0'); nul != text.npos) {
      fail(ExitCode::kData, "{}: byte {} is NUL, so this is no text; give UTF-8 text", name, nul);
    }
    report_.replaced_sequences += replaced;
    return Document{name, {{std::move(text)}}};
  }

 private:
  TextFile& file_;
  DocumentReport& report_;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<DocumentReader> open_plain_text(TextFile& file, const DocumentOptions&,
                                                DocumentReport& report) {
  return std::make_unique<PlainText>(file, report);
}

}  // namespace longspan
