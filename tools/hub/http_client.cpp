#include "tools/hub/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <exception>
#include <memory>
#include <new>

#include "src/core/text.h"
#include "src/core/version.h"

namespace longspan {

namespace {

constexpr long kConnectSeconds = 30, kStalledSeconds = 60;

struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListFree>;

void append(HeaderList& list, const std::string& header) {
  curl_slist* longer = curl_slist_append(list.get(), header.c_str());
  if (!longer) throw std::bad_alloc();
  (void)list.release();
  list.reset(longer);
}

/// A token may travel unencrypted only where nobody listens.
bool is_private(const std::string& url) {
  if (url.starts_with("https://")) return true;
  for (std::string_view host : {"http://localhost", "http://127.0.0.1", "http://[::1]"}) {
    if (!url.starts_with(host)) continue;
    std::string_view rest = std::string_view(url).substr(host.size());
    if (rest.empty() || rest.front() == ':' || rest.front() == '/') return true;
  }
  return false;
}

}  // namespace

struct HttpClient::Transfer {
  CURL* curl;
  HttpResponse response;
  const Sink& sink;
  std::exception_ptr failure{};  // of the sink: libcurl, which is C, must not see it

  static size_t header(char* data, size_t, size_t size, void* self) {
    auto& response = static_cast<Transfer*>(self)->response;
    std::string_view line(data, size);
    if (line.starts_with("HTTP/")) response.headers.clear();  // of the next one after a redirect
    size_t colon = line.find(':');
    if (colon == line.npos) return size;
    const std::string name = lower_case(std::string(line.substr(0, colon)));
    std::string_view value = line.substr(colon + 1);
    size_t first = value.find_first_not_of(" \t"), last = value.find_last_not_of(" \t\r\n");
    if (first != value.npos) response.headers[name] = value.substr(first, last - first + 1);
    return size;
  }

  static size_t body(char* data, size_t, size_t size, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    auto& response = transfer.response;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &response.status);
    if (transfer.sink && (response.status == 200 || response.status == 206)) {
      try {
        return transfer.sink(response, {data, size}) ? size : 0;
      } catch (...) {
        transfer.failure = std::current_exception();
        return 0;
      }
    }
    if (response.body.size() + size > kLargestBody) return 0;
    response.body.append(data, size);
    return size;
  }
};

HttpClient::HttpClient(std::string token) : token_(std::move(token)), curl_(curl_easy_init()) {
  if (!curl_) throw std::runtime_error("libcurl could not start");
}

HttpClient::~HttpClient() { curl_easy_cleanup(curl_); }

HttpResponse HttpClient::get(const std::string& url, int64_t begin, const Sink& sink) {
  Transfer transfer{curl_, {}, sink};
  curl_easy_reset(curl_);
  HeaderList headers;
  // Compressed, a file would have another size than the server states.
  append(headers, "Accept-Encoding: identity");
  // libcurl keeps a given Authorization header from any other host, port or scheme.
  if (!token_.empty() && is_private(url)) append(headers, "Authorization: Bearer " + token_);
  if (begin > 0) append(headers, fmt::format("Range: bytes={}-", begin));
  char error[CURL_ERROR_SIZE] = "";
  const char* schemes = url.starts_with("https://") ? "https" : "http,https";
  auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl_, option, value); };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_USERAGENT, fmt::format("longspan/{}", version()).c_str());
  set(CURLOPT_PROTOCOLS_STR, schemes);
  set(CURLOPT_REDIR_PROTOCOLS_STR, schemes);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 10L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error);
  set(CURLOPT_HEADERFUNCTION, &Transfer::header);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, &Transfer::body);
  set(CURLOPT_WRITEDATA, &transfer);
  CURLcode code = curl_easy_perform(curl_);
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  if (code != CURLE_OK) {
    throw TransferError(fmt::format("{}: {}", url, *error ? error : curl_easy_strerror(code)));
  }
  curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &transfer.response.status);
  return std::move(transfer.response);
}

std::string HttpClient::escape(std::string_view text) {
  const std::unique_ptr<char, decltype(&curl_free)> escaped(
      curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())), curl_free);
  if (!escaped) throw std::bad_alloc();
  return escaped.get();
}

}  // namespace longspan
