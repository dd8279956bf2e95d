#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace longspan {

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  // of the last response; names in lower case
  std::string body;  // at most kLargestBody bytes, unless a sink took them
};

/// The transfer broke off: no network, a closed connection, a timeout. Trying again may help.
class TransferError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// GET over HTTP(S) with libcurl. Proxies and certificates are those of the environment.
class HttpClient {
 public:
  static constexpr size_t kLargestBody = 64 << 20;

  /// `token` may be empty. It is sent as a bearer token to the host of the URL asked for, never to
  /// another host that a redirect leads to, and unencrypted to this machine only.
  explicit HttpClient(std::string token);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Takes the bytes of a response of status 200 or 206; false stops the transfer.
  using Sink = std::function<bool(const HttpResponse& response, std::string_view bytes)>;

  /// Follows redirects. From byte `begin` of the file on, where the server can. Returns whatever
  /// the status is; throws TransferError when there is no whole response.
  HttpResponse get(const std::string& url, int64_t begin = 0, const Sink& sink = {});

  /// `text` with all but letters, digits and -._~ percent-encoded.
  static std::string escape(std::string_view text);

 private:
  struct Transfer;

  std::string token_;
  void* curl_;
};

}  // namespace longspan
