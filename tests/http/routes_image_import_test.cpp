#include "http/routes_support.hpp"

#include "runtime/image_importer.hpp"

#include <catch2/catch.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <set>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

/// An import whose helper is a function: it reads the archive, tells two steps and knows how it ends.
class scripted_import final : public runtime::image_import {
public:
  scripted_import(std::string& received, caf::error& failure, bool from_file)
      : received_(received)
      , failure_(failure) {
    int ends[2];
    if (!from_file) {
      REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
      input_.reset(ends[0]);
      archive.reset(ends[1]);
      REQUIRE(::fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    }
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    progress.reset(ends[0]);
    output_.reset(ends[1]);
    REQUIRE(::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
  }

  result<image_info> finish() override {
    char buffer[4096];
    for (ssize_t count; input_ && (count = ::read(input_.get(), buffer, sizeof buffer)) > 0;)
      received_.append(buffer, static_cast<std::size_t>(count));
    input_.reset();
    std::string_view lines = "{\"state\":\"unpacking\"}\n{\"state\":\"unpacked\"}\n";
    static_cast<void>(!::write(output_.get(), lines.data(), lines.size()));
    output_.reset();
    if (failure_)
      return failure_;
    return image_info{"new", false, {}, 7, 1000, true, "sha256:aa", {"sha256:bb"}};
  }

private:
  std::string& received_;
  caf::error& failure_;
  runtime::unique_fd input_, output_;
};

class scripted_importer final : public runtime::image_importer {
public:
  result<std::shared_ptr<runtime::image_import>> begin(const std::string& name,
                                                       const runtime::import_source& from) override {
    names.push_back(name + (from.file ? " from " + *from.file : "") +
                    (from.reference ? " from " + from.reference->text() : ""));
    if (refusal)
      return refusal;
    return std::shared_ptr<runtime::image_import>{
        std::make_shared<scripted_import>(received, failure, from.file || from.reference)};
  }

  std::vector<std::string> names;
  std::string received;
  caf::error refusal, failure;
};

struct import_stage : stage {
  import_stage() {
    context->importer = &importer;
    context->blocking_calls = [this](std::function<void()> call) {
      boost::asio::post(blocking, std::move(call));
    };
  }
  ~import_stage() override { blocking.join(); }

  memory_exchange& post(std::string target, std::string body, http::header_list headers = {},
                        bool admin = true) {
    auto& ex = request("POST", std::move(target), std::move(body), std::move(headers));
    ex.asker.admin = admin;
    return run();
  }

  boost::asio::thread_pool blocking{2};
  scripted_importer importer;
};

const http::header_list as_json{{"Content-Type", "application/json"}};
const http::header_list as_events{{"Accept", "text/event-stream"}};

} // namespace

TEST_CASE_METHOD(import_stage, "the body of an import is the archive", "[routes]") {
  std::string archive(300'000, 'x'); // more than a pipe holds
  auto& ex = post("/api/images?name=new", archive);
  CHECK(ex.status == 200);
  CHECK(importer.received == archive);
  CHECK(importer.names == std::vector<std::string>{"new"});
  CHECK(ex.json()["name"] == "new");
  CHECK(ex.json()["imported"] == true);
  CHECK(ex.json()["digest"] == "sha256:aa");
  CHECK(ex.json()["layers"] == json{"sha256:bb"});
  CHECK(ex.json()["sizeBytes"] == 7);
}

TEST_CASE_METHOD(import_stage, "an archive of the machine is named in a JSON body", "[routes]") {
  CHECK(post("/api/images", R"({"name":"new","path":"/archives/a.tar"})", as_json).status == 200);
  CHECK(importer.names == std::vector<std::string>{"new from /archives/a.tar"});
  CHECK(post("/api/images", R"({"name":"new","path":"a.tar"})", as_json).status == 400);
  CHECK(post("/api/images", R"({"name":"new"})", as_json).status == 422);
  CHECK(post("/api/images", R"({"path":"/a"})", as_json).status == 422);
  CHECK(post("/api/images", "[", as_json).status == 400);
  CHECK(post("/api/images", "bytes").status == 422); // no name
  CHECK(importer.names.size() == 1);
}

TEST_CASE_METHOD(import_stage, "an image of a registry is named by its reference", "[routes]") {
  CHECK(post("/api/images", R"({"reference":"ghcr.io/team/agent:1","name":"agent"})", as_json).status == 200);
  CHECK(post("/api/images", R"({"reference":"ghcr.io/team/agent"})", as_json).status == 200);
  CHECK(importer.names == std::vector<std::string>{"agent from ghcr.io/team/agent:1",
                                                   "ghcr.io__team__agent_.latest from "
                                                   "ghcr.io/team/agent:latest"});
  CHECK(post("/api/images", R"({"reference":"agent"})", as_json).status == 400);
  CHECK(post("/api/images", R"({"reference":"ghcr.io/a","path":"/a"})", as_json).status == 400);
  CHECK(post("/api/images", R"({"reference":"ghcr.io/a"})", as_json, false).status == 403);
  CHECK(post("/api/images", R"({"reference":7})", as_json).status == 422);
  importer.refusal = fail(errc::forbidden, "not from there");
  CHECK(post("/api/images", R"({"reference":"ghcr.io/a"})", as_json).status == 403);
}

TEST_CASE_METHOD(import_stage, "the steps of an import are events for who wants them", "[routes]") {
  auto& ex = post("/api/images?name=new", "archive", as_events);
  CHECK(ex.status == 200);
  CHECK(ex.sent.starts_with("event: progress\ndata: {\"state\":\"unpacking\"}\n\n"
                            "event: progress\ndata: {\"state\":\"unpacked\"}\n\n"
                            "event: image\ndata: {"));
  importer.failure = fail(errc::digest_mismatch, "another content");
  auto& failed = post("/api/images?name=new", "archive", as_events);
  CHECK(failed.status == 200);
  CHECK(failed.sent.find("event: error\ndata: ") != std::string::npos);
  CHECK(failed.sent.find("digest_mismatch") != std::string::npos);
}

TEST_CASE_METHOD(import_stage, "what an import fails with is its answer", "[routes]") {
  for (auto [code, status] : std::map<errc, unsigned>{{errc::invalid_argument, 400},
                                                      {errc::digest_mismatch, 422},
                                                      {errc::payload_too_large, 413},
                                                      {errc::capacity_exhausted, 503},
                                                      {errc::conflict, 409}}) {
    importer.failure = fail(code, "no");
    CHECK(post("/api/images?name=new", "archive").status == status);
  }
  importer.failure = {};
  importer.refusal = fail(errc::conflict, "built here");
  CHECK(post("/api/images?name=new", "archive").status == 409);
}

TEST_CASE_METHOD(import_stage, "only an administrator imports", "[routes]") {
  CHECK(post("/api/images?name=new", "archive", {}, false).status == 403);
  CHECK(importer.names.empty());
  context->importer = nullptr;
  CHECK(post("/api/images?name=new", "archive").status == 501);
}
