#include "tools/hub/http_client.h"

#include <gmock/gmock.h>

#include "tests/tools/hub/environment.h"
#include "tests/tools/hub/http_server.h"

namespace longspan {
namespace {

TEST(HttpClient, GivesStatusHeadersAndBody) {
  HubEnvironment environment;
  HttpServer server([](const ServedRequest&) {
    return ServedResponse{404, "not here", {"X-Error-Code:  EntryNotFound "}};
  });
  HttpResponse response = HttpClient("").get(server.address() + "/a");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "not here");
  EXPECT_EQ(response.headers["x-error-code"], "EntryNotFound");
}

TEST(HttpClient, AsksForTheRestOfAFileUncompressed) {
  HubEnvironment environment;
  HttpServer server([](const ServedRequest&) { return ServedResponse{206, "rest"}; });
  std::string taken;
  HttpClient("").get(server.address() + "/a", 5,
                     [&](const HttpResponse& response, std::string_view bytes) {
                       EXPECT_EQ(response.status, 206);
                       taken += bytes;
                       return true;
                     });
  EXPECT_EQ(taken, "rest");
  auto request = server.requests().at(0);
  EXPECT_EQ(request.headers["Range"], "bytes=5-");
  EXPECT_EQ(request.headers["Accept-Encoding"], "identity");
  EXPECT_FALSE(request.headers.contains("Authorization"));
}

TEST(HttpClient, TheTokenStaysWithTheHostThatWasAsked) {
  HubEnvironment environment;
  HttpServer storage([](const ServedRequest&) { return ServedResponse{200, "weights"}; });
  HttpServer hub([&](const ServedRequest&) {
    return ServedResponse{302, "", {"Location: " + storage.address() + "/stored"}};
  });
  HttpResponse response = HttpClient("hf_secret").get(hub.address() + "/a");
  EXPECT_EQ(response.body, "weights");
  EXPECT_EQ(hub.requests().at(0).headers["Authorization"], "Bearer hf_secret");
  EXPECT_FALSE(storage.requests().at(0).headers.contains("Authorization"));
}

TEST(HttpClient, ABrokenTransferIsNoResponse) {
  HubEnvironment environment;
  HttpServer server([](const ServedRequest&) { return ServedResponse{200, "0123456789", {}, 4}; });
  EXPECT_THROW(HttpClient("").get(server.address() + "/a"), TransferError);
}

TEST(HttpClient, EscapesAllButPlainLetters) {
  EXPECT_EQ(HttpClient::escape("a-B_1.~"), "a-B_1.~");
  EXPECT_EQ(HttpClient::escape("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(HttpClient::escape("a b%\xc3\xa9"), "a%20b%25%C3%A9");
}

}  // namespace
}  // namespace longspan
