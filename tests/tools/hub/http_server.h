#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace longspan {

struct ServedRequest {
  std::string path;
  std::map<std::string, std::string> headers;
};

struct ServedResponse {
  int status = 200;
  std::string body{};
  std::vector<std::string> headers{};      // "Name: value"
  size_t break_after = std::string::npos;  // bytes of the body, then the connection is closed
};

/// An HTTP server of this machine that answers one request a connection, for one test.
class HttpServer {
 public:
  using Handler = std::function<ServedResponse(const ServedRequest& request)>;

  explicit HttpServer(Handler handler)
      : handler_(std::move(handler)), socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(socket_, 8) != 0 ||
        getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no server on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string address() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<ServedRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (int client; (client = accept(socket_, nullptr, nullptr)) >= 0; close(client)) {
      std::string text;
      char bytes[4096];
      while (text.find("\r\n\r\n") == text.npos) {
        ssize_t got = read(client, bytes, sizeof bytes);
        if (got <= 0) break;
        text.append(bytes, static_cast<size_t>(got));
      }
      answer(client, handler_(remembered(text)));
    }
  }

  ServedRequest remembered(const std::string& text) {
    std::istringstream lines(text);
    ServedRequest request;
    std::string method, line;
    lines >> method >> request.path;
    std::getline(lines, line);
    while (std::getline(lines, line) && line.size() > 1) {
      size_t colon = line.find(": ");
      request.headers[line.substr(0, colon)] = line.substr(colon + 2, line.size() - colon - 3);
    }
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
    return request;
  }

  static void answer(int client, const ServedResponse& response) {
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + " Answer\r\n";
    for (const auto& header : response.headers) text += header + "\r\n";
    text += "Content-Length: " + std::to_string(response.body.size()) +
            "\r\nConnection: close\r\n\r\n" + response.body.substr(0, response.break_after);
    for (size_t sent = 0; sent < text.size();) {
      ssize_t now = send(client, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) return;
      sent += static_cast<size_t>(now);
    }
  }

  Handler handler_;
  int socket_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<ServedRequest> requests_;
  std::thread thread_;
};

}  // namespace longspan
