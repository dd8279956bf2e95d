#include "tools/hub/hub_client.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/hub/environment.h"
#include "tests/tools/hub/http_server.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kCommit(40, 'c');
const HubModel kModel{"org/model", "main"};
const std::string kContent = "0123456789";
/// Of `printf 0123456789 | sha256sum` (coreutils 9.1).
const HubFile kFile{"sub folder/weights.bin", 10,
                    "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"};

std::string header_of(const ServedRequest& request, const std::string& name) {
  auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

class HubClientOf : public testing::Test {
 protected:
  static std::string refused(const std::function<void()>& work) {
    return error_of(work, ExitCode::kFailure);
  }
  std::string blob() const { return folder_.path("blob"); }

  HubEnvironment environment_;
  TemporaryFolder folder_;
};

TEST_F(HubClientOf, ListsTheFilesOfARevision) {
  HttpServer server([&](const ServedRequest&) {
    Json answer = {
        {"sha", kCommit},
        {"siblings",
         Json::array(
             {{{"rfilename", "config.json"}, {"size", 2}, {"blobId", std::string(40, 'a')}}})}};
    return ServedResponse{200, answer.dump()};
  });
  HubRevision revision = HubClient({server.address(), ""}).revision({"org/model", "refs/pr/1"});
  EXPECT_EQ(revision.commit, kCommit);
  ASSERT_EQ(revision.files.size(), 1u);
  EXPECT_EQ(revision.files[0].name, "config.json");
  EXPECT_EQ(server.requests().at(0).path,
            "/api/models/org/model/revision/refs%2Fpr%2F1?blobs=true");
}

TEST_F(HubClientOf, SaysWhatAnAnswerMeans) {
  ServedResponse answer;
  HttpServer server([&](const ServedRequest&) { return answer; });
  HubClient nobody({server.address(), ""}), somebody({server.address(), "hf_token"});
  auto says = [&](ServedResponse response, HubClient& client) {
    answer = std::move(response);
    return refused([&] { client.revision(kModel); });
  };
  EXPECT_THAT(says({401, "", {"X-Error-Code: GatedRepo"}}, nobody),
              HasSubstr("org/model: is gated; accept its terms at " + server.address() +
                        "/org/model, and set HF_TOKEN"));
  EXPECT_THAT(says({403, "", {"X-Error-Code: GatedRepo"}}, somebody),
              HasSubstr("check that the token in use is of that account"));
  EXPECT_EQ(says({404, "", {"X-Error-Code: RevisionNotFound"}}, nobody),
            "org/model: has no revision 'main'");
  EXPECT_THAT(says({401}, nobody), HasSubstr("or is private (401); set HF_TOKEN"));
  EXPECT_THAT(says({404}, nobody), HasSubstr("check the name"));
  EXPECT_THAT(says({418, "", {"X-Error-Message: a teapot"}}, nobody),
              HasSubstr("answers 418 a teapot"));
  EXPECT_THAT(says({200, "{}"}, nobody), HasSubstr("is not the answer of a Hugging Face hub"));
}

TEST_F(HubClientOf, DownloadsAFileAndChecksIt) {
  HttpServer server([](const ServedRequest&) { return ServedResponse{200, kContent}; });
  HubClient({server.address(), ""}).download(kModel, kCommit, kFile, blob());
  EXPECT_EQ(read_file(blob(), ExitCode::kFailure), kContent);
  EXPECT_FALSE(std::filesystem::exists(blob() + ".incomplete"));
  EXPECT_EQ(server.requests().at(0).path,
            "/org/model/resolve/" + kCommit + "/sub%20folder/weights.bin");
}

TEST_F(HubClientOf, GoesOnAtTheByteWhereItBrokeOff) {
  folder_.write("blob.incomplete", kContent.substr(0, 4));
  HttpServer server([](const ServedRequest& request) {
    EXPECT_EQ(header_of(request, "Range"), "bytes=4-");
    return ServedResponse{206, kContent.substr(4)};
  });
  HubClient({server.address(), ""}).download(kModel, kCommit, kFile, blob());
  EXPECT_EQ(read_file(blob(), ExitCode::kFailure), kContent);
}

TEST_F(HubClientOf, ConnectsAgainWhereTheConnectionBreaks) {
  std::vector<std::string> ranges;
  HttpServer server([&](const ServedRequest& request) {
    ranges.push_back(header_of(request, "Range"));
    return ranges.size() == 1 ? ServedResponse{200, kContent, {}, 6}
                              : ServedResponse{206, kContent.substr(6)};
  });
  HubClient({server.address(), ""}).download(kModel, kCommit, kFile, blob());
  EXPECT_THAT(ranges, ElementsAre("", "bytes=6-"));
  EXPECT_EQ(read_file(blob(), ExitCode::kFailure), kContent);
}

TEST_F(HubClientOf, BeginsAnewWhereTheServerSendsAllOrKnowsNoSuchByte) {
  folder_.write("blob.incomplete", "wxyz");
  HttpServer whole([](const ServedRequest&) { return ServedResponse{200, kContent}; });
  HubClient({whole.address(), ""}).download(kModel, kCommit, kFile, blob());
  EXPECT_EQ(read_file(blob(), ExitCode::kFailure), kContent);

  folder_.write("other.incomplete", "wxyz");
  HttpServer unsatisfiable([](const ServedRequest& request) {
    return header_of(request, "Range").empty() ? ServedResponse{200, kContent}
                                               : ServedResponse{416};
  });
  HubClient({unsatisfiable.address(), ""}).download(kModel, kCommit, kFile, folder_.path("other"));
  EXPECT_EQ(read_file(folder_.path("other"), ExitCode::kFailure), kContent);
}

TEST_F(HubClientOf, RemovesADownloadOfAnotherDigest) {
  HttpServer server([](const ServedRequest&) { return ServedResponse{200, "9876543210"}; });
  HubClient client({server.address(), ""});
  EXPECT_THAT(refused([&] { client.download(kModel, kCommit, kFile, blob()); }),
              HasSubstr("the hub states " + kFile.digest + "; the download was removed"));
  EXPECT_FALSE(std::filesystem::exists(blob()));
  EXPECT_FALSE(std::filesystem::exists(blob() + ".incomplete"));
}

TEST_F(HubClientOf, RefusesMoreAndFewerBytesThanStated) {
  std::string sent = kContent + "more";
  HttpServer server([&](const ServedRequest&) { return ServedResponse{200, sent}; });
  HubClient client({server.address(), ""});
  EXPECT_THAT(refused([&] { client.download(kModel, kCommit, kFile, blob()); }),
              HasSubstr("the server sends more than the 10 bytes it stated"));
  sent = "0123";
  EXPECT_THAT(refused([&] { client.download(kModel, kCommit, kFile, blob()); }),
              HasSubstr("the server sent 4 of 10 bytes and called it whole"));
}

TEST_F(HubClientOf, AsksForNothingThatIsThere) {
  folder_.write("blob", kContent);
  HttpServer server([](const ServedRequest&) { return ServedResponse{500}; });
  HubClient({server.address(), ""}).download(kModel, kCommit, kFile, blob());
  EXPECT_TRUE(server.requests().empty());
}

}  // namespace
}  // namespace longspan
