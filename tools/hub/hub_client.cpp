#include "tools/hub/hub_client.h"

#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "src/core/json.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr int kAttempts = 5;  // without a new byte

std::string escaped_path(const std::string& name) {
  std::string escaped;
  for (const auto& part : split(name, '/')) {
    escaped += (escaped.empty() ? "" : "/") + HttpClient::escape(part);
  }
  return escaped;
}

bool is_worth_another_try(long status) { return status == 408 || status == 429 || status >= 500; }

/// Calls `get` until it gives a lasting answer, waiting 1, 2, 4... s in between; `advanced` tells
/// whether the last attempt brought anything, which starts the count anew.
HttpResponse patiently(const std::function<HttpResponse()>& get,
                       const std::function<bool()>& advanced) {
  for (int attempt = 1;; ++attempt) {
    std::string why;
    try {
      HttpResponse response = get();
      if (!is_worth_another_try(response.status) || attempt >= kAttempts) return response;
      why = fmt::format("the server answers {}", response.status);
    } catch (const TransferError& e) {
      why = e.what();
    }
    if (advanced()) attempt = 1;
    if (attempt >= kAttempts) {
      fail(ExitCode::kFailure, "{} ({} attempts); try again later, it goes on where it stopped",
           why, kAttempts);
    }
    log_warning("{}; trying again", why);
    std::this_thread::sleep_for(std::chrono::seconds(1 << (attempt - 1)));
  }
}

}  // namespace

HubClient::HubClient(HubSettings settings)
    : endpoint_(std::move(settings.endpoint)),
      has_token_(!settings.token.empty()),
      http_(settings.token) {}

HubRevision HubClient::revision(const HubModel& model) {
  std::string url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", endpoint_, model.id,
                                HttpClient::escape(model.revision));
  HttpResponse response = patiently([&] { return http_.get(url); }, [] { return false; });
  if (response.status != 200) refuse(response, model, "");
  Json json = parse_json(response.body, url, ExitCode::kFailure);
  Json commit = json.is_object() ? json.value("sha", Json()) : Json();
  Json files = json.is_object() ? json.value("siblings", Json()) : Json();
  if (!commit.is_string() || !is_hex(commit.get<std::string>(), 40) || !files.is_array()) {
    fail(ExitCode::kFailure, "{}: is not the answer of a Hugging Face hub", url);
  }
  HubRevision revision{commit.get<std::string>(), {}};
  for (const auto& entry : files) revision.files.push_back(read_hub_file(entry, url));
  return revision;
}

void HubClient::download(const HubModel& model, const std::string& commit, const HubFile& file,
                         const fs::path& blob) {
  if (fs::exists(blob)) return;
  PartialDownload part(blob.string() + ".incomplete");
  if (part.size() > file.size) part.restart();
  std::string url =
      fmt::format("{}/{}/resolve/{}/{}", endpoint_, model.id, commit, escaped_path(file.name));
  if (part.size() > 0) {
    log_info("{}: going on at {} of {}", file.name, human_bytes(part.size()),
             human_bytes(file.size));
  }
  while (part.size() < file.size) {
    int64_t before = part.size();
    HttpResponse response =
        patiently([&] { return fetch(url, file, part); },
                  [&] { return std::exchange(before, part.size()) < part.size(); });
    if (response.status == 416 && part.size() > 0) {
      part.restart();
    } else if (response.status != 200 && response.status != 206) {
      refuse(response, model, file.name);
    } else if (part.size() < file.size) {
      fail(ExitCode::kFailure, "{}: the server sent {} of {} bytes and called it whole", url,
           part.size(), file.size);
    }
  }
  show_progress("");
  std::string digest = digest_of(part.path(), file);
  if (part.size() != file.size || digest != file.digest) {
    fs::remove(part.path());
    fail(ExitCode::kFailure,
         "{}: the checksum is {}, the hub states {}; the download was removed, try again",
         file.name, digest, file.digest);
  }
  part.move_to(blob);
}

/// One attempt to get what `part` still lacks.
HttpResponse HubClient::fetch(const std::string& url, const HubFile& file, PartialDownload& part) {
  bool first = true;
  Stopwatch since_shown;
  return http_.get(url, part.size(), [&](const HttpResponse& response, std::string_view bytes) {
    // A server that does not know Range sends the whole file.
    if (std::exchange(first, false) && response.status == 200 && part.size() > 0) part.restart();
    if (part.size() + static_cast<int64_t>(bytes.size()) > file.size) {
      fail(ExitCode::kFailure, "{}: the server sends more than the {} bytes it stated", url,
           file.size);
    }
    part.append(bytes);
    if (since_shown.seconds() > 0.2) {
      since_shown.restart();
      show_progress(
          fmt::format("{}  {} of {}", file.name, human_bytes(part.size()), human_bytes(file.size)));
    }
    return true;
  });
}

void HubClient::refuse(const HttpResponse& response, const HubModel& model,
                       const std::string& file) const {
  auto header = [&](const char* name) {
    auto found = response.headers.find(name);
    return found == response.headers.end() ? "" : found->second;
  };
  std::string what = file.empty() ? model.id : fmt::format("{}: {}", model.id, file);
  std::string code = header("x-error-code");
  std::string token = has_token_ ? "the token in use has no access to it"
                                 : "set HF_TOKEN to a token that has access";
  if (code == "GatedRepo") {
    fail(ExitCode::kFailure, "{}: is gated; accept its terms at {}/{}, and {}", what, endpoint_,
         model.id, has_token_ ? "check that the token in use is of that account" : token);
  }
  if (code == "RevisionNotFound") {
    fail(ExitCode::kFailure, "{}: has no revision '{}'", what, model.revision);
  }
  if (response.status == 401 || response.status == 403) {
    fail(ExitCode::kFailure, "{}: is not on {}, or is private ({}); {}", what, endpoint_,
         response.status, token);
  }
  if (response.status == 404) {
    fail(ExitCode::kFailure, "{}: is not on {}; check the name", what, endpoint_);
  }
  fail(ExitCode::kFailure, "{}: {} answers {} {}", what, endpoint_, response.status,
       header("x-error-message"));
}

}  // namespace longspan
