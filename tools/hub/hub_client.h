#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/hf/hub_cache.h"
#include "tools/hub/http_client.h"

namespace longspan {

/// One file of a model repository at one commit.
struct HubFile {
  std::string name;    // relative, such as "model.safetensors"
  int64_t size = 0;    // bytes
  std::string digest;  // in hex: SHA-256 of a file in LFS, else the SHA-1 that git gives the blob
};

struct HubRevision {
  std::string commit;
  std::vector<HubFile> files;
};

/// The Hugging Face hub, or what HF_ENDPOINT names instead. All that fails throws
/// Error(kFailure) that says what to do.
class HubClient {
 public:
  /// The token is HF_TOKEN, else the content of HF_TOKEN_PATH or HF_HOME/token, else none.
  HubClient();

  /// GET /api/models/ORG/NAME/revision/REVISION?blobs=true
  HubRevision revision(const HubModel& model);

  /// Downloads one file to `blob` unless it is there: by way of `blob`.incomplete, which a later
  /// call goes on with. The digest is checked; a wrong one removes what was downloaded.
  void download(const HubModel& model, const std::string& commit, const HubFile& file,
                const std::filesystem::path& blob);

 private:
  class PartFile;

  explicit HubClient(const std::string& token);
  HttpResponse fetch(const std::string& url, const HubFile& file, PartFile& part);
  /// Says what a status other than 200 and 206 means for `file`, or "" for the model.
  [[noreturn]] void refuse(const HttpResponse& response, const HubModel& model,
                           const std::string& file) const;

  std::string endpoint_;
  bool has_token_;
  HttpClient http_;
};

}  // namespace longspan
