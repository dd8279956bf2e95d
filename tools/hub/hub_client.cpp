#include "tools/hub/hub_client.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "src/core/json.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kHub = "https://huggingface.co";
constexpr int kAttempts = 5;  // without a new byte

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string upper_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string endpoint() {
  std::string endpoint = variable("HF_ENDPOINT");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (endpoint.empty()) return kHub;
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")) {
    fail(ExitCode::kUsage, "HF_ENDPOINT: '{}' is no address; expected https://...", endpoint);
  }
  return endpoint;
}

std::string token() {
  std::string token = variable("HF_TOKEN");
  if (token.empty()) {
    std::string path = variable("HF_TOKEN_PATH");
    fs::path file = path.empty() ? hugging_face_home() / "token" : fs::path(path);
    std::error_code status;
    if (fs::is_regular_file(file, status)) token = read_file(file, ExitCode::kFailure);
  }
  constexpr const char* kSpace = " \t\r\n";
  size_t first = token.find_first_not_of(kSpace);
  if (first == token.npos) return "";
  token = token.substr(first, token.find_last_not_of(kSpace) - first + 1);
  if (std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    fail(ExitCode::kUsage, "HF_TOKEN (or the token file): holds letters that no token has");
  }
  return token;
}

bool is_hex(const std::string& text, size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdef") == text.npos;
}

/// A file's name leads nowhere but into the snapshot.
bool is_inside(const std::string& name) {
  if (name.empty() || name.size() > 1024 || name.find('\\') != name.npos) return false;
  for (const auto& part : split(name, '/')) {
    if (part.empty() || part == "." || part == ".." || part.find('\0') != part.npos) return false;
  }
  return true;
}

HubFile read_file_entry(const Json& entry, const std::string& place) {
  auto text = [](const Json& map, const char* key) {
    Json value = map.is_object() ? map.value(key, Json()) : Json();
    return value.is_string() ? value.get<std::string>() : "";
  };
  HubFile file{text(entry, "rfilename"), -1, text(entry, "blobId")};
  Json lfs = entry.is_object() ? entry.value("lfs", Json()) : Json();
  if (lfs.is_object()) file.digest = text(lfs, "sha256");
  Json size = entry.is_object() ? entry.value("size", Json()) : Json();
  if (size.is_number_unsigned()) file.size = size.get<int64_t>();
  bool whole =
      is_inside(file.name) && file.size >= 0 && is_hex(file.digest, lfs.is_object() ? 64 : 40);
  if (!whole) {
    fail(ExitCode::kFailure, "{}: the server describes a file in an unknown way: {}", place,
         entry.dump().substr(0, 300));
  }
  return file;
}

/// SHA-256 of the content, or git's SHA-1 of "blob SIZE\0" and the content.
std::string digest_of(const fs::path& path, const HubFile& file) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  bool git = file.digest.size() == 40;
  std::string header = fmt::format("blob {}", file.size) + '\0';
  bool good = context && EVP_DigestInit_ex(context.get(), git ? EVP_sha1() : EVP_sha256(), nullptr);
  if (git) good = good && EVP_DigestUpdate(context.get(), header.data(), header.size());
  std::ifstream stream(path, std::ios::binary);
  std::string buffer(1 << 20, '\0');
  while (good && stream) {
    stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    good = EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(stream.gcount()));
  }
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!good || stream.bad() || !EVP_DigestFinal_ex(context.get(), bytes, &size)) {
    fail(ExitCode::kFailure, "{}: cannot be read back", path.string());
  }
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

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
    log_warning(fmt::format("{}; trying again", why));
    std::this_thread::sleep_for(std::chrono::seconds(1 << (attempt - 1)));
  }
}

}  // namespace

/// <blob>.incomplete, open for appending and locked against other processes.
class HubClient::PartFile {
 public:
  explicit PartFile(fs::path path)
      : path_(std::move(path)), file_(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (file_ < 0) refuse("cannot write");
    if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      close(file_);
      fail(ExitCode::kFailure, "{}: another process is downloading it", path_.string());
    }
    size_ = lseek(file_, 0, SEEK_END);
  }
  ~PartFile() { close(file_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  int64_t size() const { return size_; }
  const fs::path& path() const { return path_; }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t written = write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) refuse("cannot write");
      bytes.remove_prefix(static_cast<size_t>(written));
      size_ += written;
    }
  }
  void restart() {
    if (ftruncate(file_, 0) != 0 || lseek(file_, 0, SEEK_SET) != 0) refuse("cannot truncate");
    size_ = 0;
  }
  void move_to(const fs::path& place) {
    if (fsync(file_) != 0) refuse("cannot write");
    fs::rename(path_, place);
  }

 private:
  [[noreturn]] void refuse(const char* what) const {
    fail(ExitCode::kFailure, "{}: {}: {}", path_.string(), what, std::strerror(errno));
  }

  fs::path path_;
  int file_;
  int64_t size_ = 0;
};

HubClient::HubClient() : HubClient(token()) {}

HubClient::HubClient(const std::string& token)
    : endpoint_(endpoint()), has_token_(!token.empty()), http_(token) {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    std::string value = upper_case(variable(name));
    if (value == "1" || value == "ON" || value == "YES" || value == "TRUE") {
      fail(ExitCode::kUsage, "{} is set: nothing is downloaded; unset it", name);
    }
  }
}

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
  for (const auto& entry : files) revision.files.push_back(read_file_entry(entry, url));
  return revision;
}

void HubClient::download(const HubModel& model, const std::string& commit, const HubFile& file,
                         const fs::path& blob) {
  if (fs::exists(blob)) return;
  PartFile part(blob.string() + ".incomplete");
  if (part.size() > file.size) part.restart();
  std::string url =
      fmt::format("{}/{}/resolve/{}/{}", endpoint_, model.id, commit, escaped_path(file.name));
  if (part.size() > 0) {
    log_info(fmt::format("{}: going on at {} of {}", file.name, human_bytes(part.size()),
                         human_bytes(file.size)));
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
HttpResponse HubClient::fetch(const std::string& url, const HubFile& file, PartFile& part) {
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
