#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoints/hf/hub_cache.h"
#include "tools/hub/http_client.h"
#include "tools/hub/hub_file.h"
#include "tools/hub/hub_settings.h"
#include "tools/hub/part_file.h"

namespace longspan {

struct HubRevision {
  std::string commit;
  std::vector<HubFile> files;
};

/// The Hugging Face hub, or what HF_ENDPOINT names instead. All that fails throws
/// Error(kFailure) that says what to do.
class HubClient {
 public:
  explicit HubClient(HubSettings settings = read_hub_settings());

  /// GET /api/models/ORG/NAME/revision/REVISION?blobs=true
  HubRevision revision(const HubModel& model);

  /// Downloads one file to `blob` unless it is there: by way of `blob`.incomplete, which a later
  /// call goes on with. The digest is checked; a wrong one removes what was downloaded.
  void download(const HubModel& model, const std::string& commit, const HubFile& file,
                const std::filesystem::path& blob);

 private:
  HttpResponse fetch(const std::string& url, const HubFile& file, PartFile& part);
  /// Says what a status other than 200 and 206 means for `file`, or "" for the model.
  [[noreturn]] void refuse(const HttpResponse& response, const HubModel& model,
                           const std::string& file) const;

  std::string endpoint_;
  bool has_token_;
  HttpClient http_;
};

}  // namespace longspan
