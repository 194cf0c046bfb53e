#include "http/routes_support.hpp"

#include "http/codec/base64.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

constexpr auto hello_sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

std::deque<std::string> cut(const std::string& text, std::size_t size) {
  std::deque<std::string> pieces;
  for (std::size_t at = 0; at < text.size(); at += size)
    pieces.push_back(text.substr(at, size));
  return pieces;
}

} // namespace

TEST_CASE_METHOD(stage, "a write answers path and size, with its fields in any order", "[routes]") {
  for (auto text :
       {R"({"path":"a","content":"x\ny"})", R"({"content":"x\ny","encoding":"utf8","path":"a"})"}) {
    auto& ex = call("POST", of_living("/files/write"), text);
    CHECK(ex.json() == json{{"success", true}, {"path", "/workspace/a"}, {"size", 3}});
    CHECK(io->files["/workspace/a"].bytes == "x\ny");
    CHECK((io->written.mode == 0644 && io->written.keep_mode));
  }
  call("POST", of_living("/files/write"), R"({"content":"","mode":"0755","path":"/b"})");
  CHECK((io->written.mode == 0755 && !io->written.keep_mode));
  call("POST", of_living("/files/write"), R"({"content":"eA==","encoding":"base64","path":"/b"})");
  CHECK(io->files["/b"].bytes == "decoded:eA==");
}

TEST_CASE_METHOD(stage, "a large write is streamed", "[routes]") {
  std::string content(20'000'000, 'x');
  auto& ex = request("POST", of_living("/files/write"));
  ex.pieces = cut(R"({"path":"a","content":")" + content + "\"}", 64 * 1024);
  run();
  CHECK((ex.status == 200 && io->files["/workspace/a"].bytes == content));
}

TEST_CASE_METHOD(stage, "content waits for its path, but not without a bound", "[routes]") {
  auto late = [](std::size_t size) {
    return R"({"content":")" + std::string(size, 'x') + R"(","path":"a"})";
  };
  auto& small = request("POST", of_living("/files/write"));
  small.pieces = cut(late(4'000'000), 64 * 1024);
  run();
  CHECK((small.status == 200 && io->files["/workspace/a"].bytes.size() == 4'000'000));
  auto& large = request("POST", of_living("/files/write"));
  large.pieces = cut(late(10'000'000), 64 * 1024);
  run();
  CHECK(large.status == 413);
}

TEST_CASE_METHOD(stage, "a body over the limit is refused, announced or not", "[routes]") {
  context->limits.json_body_bytes = 100'000;
  auto& ex = request("POST", of_living("/files/write"));
  ex.pieces = cut(R"({"path":"a","content":")" + std::string(200'000, 'x') + "\"}", 1000);
  run();
  CHECK((ex.status == 413 && io->files.empty() && io->sinks_open == 0));
}

TEST_CASE_METHOD(stage, "a write that fails leaves no file", "[routes]") {
  const std::string large(3'000'000, 'x');
  for (std::string text : {std::string{R"({"path":"a","content":"x)"}, std::string{R"({"path":"a"})"},
                           std::string{R"({"path":"a","content":"*","encoding":"base64"})"},
                           R"({"path":"a","content":")" + large + R"(","mode":"0600"})",
                           R"({"path":"a","content":")" + large + R"("]})"}) {
    auto& ex = request("POST", of_living("/files/write"));
    ex.pieces = cut(text, 64 * 1024);
    run();
    CHECK((ex.status == 400 || ex.status == 422));
    CHECK((io->files.empty() && io->sinks_open == 0));
  }
  auto& ex = request("POST", of_living("/files/write"), R"({"path":"a","content":"x)");
  ex.body_error = fail(errc::cancelled, "gone");
  run();
  CHECK((io->files.empty() && io->sinks_open == 0));
}

TEST_CASE_METHOD(stage, "text is read as text, and anything else as base64", "[routes]") {
  io->files["/workspace/text"] = {"gr\xc3\xbc\xc3\x9f"
                                  "e\n"};
  auto text = call("GET", of_living("/files/read?path=text")).json();
  CHECK((text["content"] == "gr\xc3\xbc\xc3\x9f"
                            "e\n" &&
         text["encoding"] == "utf-8" && text["size"] == 8));
  CHECK(text["path"] == "/workspace/text");
  io->files["/bin"] = {"a\xff"};
  auto binary = call("GET", of_living("/files/read?path=/bin")).json();
  CHECK((binary["content"] == "Yf8=" && binary["encoding"] == "base64" && binary["size"] == 2));
  CHECK(call("GET", of_living("/files/read?path=text&encoding=base64")).json()["encoding"] == "base64");
  for (std::string query : {"&raw=1", "&raw", "&encoding=raw", ""}) {
    http::header_list accept;
    if (query.empty())
      accept.emplace_back("Accept", "application/octet-stream");
    auto& raw = call("GET", of_living("/files/read?path=/bin" + query), {}, accept);
    CHECK((raw.sent == "a\xff" && raw.type == "application/octet-stream" && raw.ended));
  }
}

TEST_CASE_METHOD(stage, "a read that makes no sense is refused", "[routes]") {
  CHECK(call("GET", of_living("/files/read")).status == 422);
  CHECK(call("GET", of_living("/files/read?path=")).status == 400);
  CHECK(call("GET", of_living("/files/read?path=a&encoding=latin1")).status == 400);
  CHECK(call("GET", of_living("/files/read?path=a&raw=maybe")).status == 400);
  auto& missing = call("GET", of_living("/files/read?path=a"));
  CHECK((missing.status == 404 && missing.json()["detail"] == "File not found: a"));
}

TEST_CASE_METHOD(stage, "a large file is read whole and in pieces", "[routes]") {
  std::string text;
  while (text.size() < 5'000'000)
    text += "\xe2\x82\xac\"\n";
  io->files["/t"] = {text};
  io->piece_bytes = 65'537; // cuts characters
  auto& ex = call("GET", of_living("/files/read?path=/t"));
  CHECK((ex.ended && ex.json()["content"] == text && ex.json()["encoding"] == "utf-8"));
  CHECK(ex.json()["size"] == text.size());
  CHECK(ex.largest_write < 1024 * 1024);
  io->files["/t"] = {text + "\xff"};
  auto& binary = call("GET", of_living("/files/read?path=/t"));
  CHECK((binary.ended && binary.json()["encoding"] == "base64"));
  CHECK(http::codec::base64_decode(binary.json()["content"].get<std::string>()) == text + "\xff");
}

TEST_CASE_METHOD(stage, "a large text that stops being text while it is read is cut, visibly", "[routes]") {
  io->files["/t"] = {std::string(3'000'000, 'x')};
  io->on_read = [this] {
    if (io->opened_files == 1)
      io->files["/t"].bytes[2'999'999] = '\xff';
  };
  auto& ex = call("GET", of_living("/files/read?path=/t"));
  CHECK((ex.status == 200 && !ex.ended));
}

TEST_CASE_METHOD(stage, "a listing has names and descriptions", "[routes]") {
  io->files["/workspace/b"] = {"12"};
  io->files["/workspace/a\xff"] = {""};
  auto body = call("GET", of_living("/files/list")).json();
  CHECK(body["files"] == json{"a\xef\xbf\xbd", "b"});
  CHECK(body["entries"][1]["size"] == 2);
}

TEST_CASE_METHOD(stage, "a download has length, version and ranges", "[routes]") {
  io->files["/f"] = {"0123456789"};
  auto& whole = call("GET", of_living("/files?path=/f"));
  CHECK((whole.status == 200 && whole.sent == "0123456789" && whole.announced == 10u && whole.ended));
  CHECK(whole.sent_header("Accept-Ranges") == "bytes");
  auto tag = whole.sent_header("ETag");
  CHECK(tag.starts_with("W/\""));
  CHECK(io->opened_files == 1);
  CHECK(call("GET", of_living("/files?path=/f"), {}, {{"If-None-Match", tag}}).status == 304);

  auto& part = call("GET", of_living("/files?path=/f"), {}, {{"Range", "bytes=2-4"}});
  CHECK((part.status == 206 && part.sent == "234" && part.sent_header("Content-Range") == "bytes 2-4/10"));
  auto& outside = call("GET", of_living("/files?path=/f"), {}, {{"Range", "bytes=10-"}});
  CHECK((outside.status == 416 && outside.sent_header("Content-Range") == "bytes */10"));
  CHECK(outside.json()["error"]["code"] == "range_not_satisfiable");
  auto& other =
      call("GET", of_living("/files?path=/f"), {}, {{"Range", "bytes=2-4"}, {"If-Range", "W/\"old\""}});
  CHECK((other.status == 200 && other.sent == "0123456789"));
  auto& same = call("GET", of_living("/files?path=/f"), {},
                    {{"Range", "bytes=2-4"}, {"If-Range", whole.sent_header("Last-Modified")}});
  CHECK(same.status == 206);
}

TEST_CASE_METHOD(stage, "a download tells its digest on request", "[routes]") {
  io->files["/f"] = {"hello"};
  auto& ex = call("GET", of_living("/files?path=/f&sha256=1"));
  CHECK((ex.sent == "hello" && ex.sent_header("X-Content-SHA256") == hello_sha256));
  auto& head = call("HEAD", of_living("/files?path=/f&sha256=1"));
  CHECK((head.sent.empty() && head.announced == 5u && head.ended));
  CHECK(head.sent_header("X-Content-SHA256") == hello_sha256);
}

TEST_CASE_METHOD(stage, "a file that changes under its digest is a conflict", "[routes]") {
  io->files["/f"] = {"hello"};
  io->on_read = [this] { io->files["/f"].modified_at = 2000; };
  CHECK(call("GET", of_living("/files?path=/f&sha256=1")).status == 409);
}

TEST_CASE_METHOD(stage, "an empty file is a file", "[routes]") {
  io->files["/f"] = {""};
  for (auto path : {"/files?path=/f", "/files/read?raw=1&path=/f"}) {
    auto& ex = call("GET", of_living(path));
    CHECK((ex.status == 200 && ex.sent.empty() && ex.ended));
  }
  CHECK(call("GET", of_living("/files/read?path=/f")).json()["content"] == "");
}

TEST_CASE_METHOD(stage, "an upload answers size and digest", "[routes]") {
  auto& ex = request("PUT", of_living("/files?path=f&mode=700"));
  ex.pieces = {"he", "llo"};
  run();
  CHECK(ex.json() ==
        json{{"success", true}, {"path", "/workspace/f"}, {"size", 5}, {"sha256", hello_sha256}});
  CHECK((io->files["/workspace/f"].bytes == "hello" && io->written.mode == 0700 && !io->written.keep_mode));
}

TEST_CASE_METHOD(stage, "an upload is checked before it appears", "[routes]") {
  CHECK(call("PUT", of_living("/files?path=f"), "hello", {{"X-Content-SHA256", hello_sha256}}).status == 200);
  CHECK(call("PUT", of_living("/files?path=g"), "hello",
             {{"Repr-Digest", "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"}})
            .status == 200);
  auto& wrong = call("PUT", of_living("/files?path=h"), "hullo", {{"X-Content-SHA256", hello_sha256}});
  CHECK((wrong.status == 422 && wrong.json()["error"]["code"] == "digest_mismatch"));
  CHECK(call("PUT", of_living("/files?path=h"), "x", {{"X-Content-SHA256", "nonsense"}}).status == 400);
  CHECK(call("PUT", of_living("/files?path=h"), "x", {{"Content-Range", "bytes 0-0/5"}}).status == 400);
  CHECK(call("PUT", of_living("/files?path=h&mode=rwx"), "x").status == 400);
  CHECK(call("PUT", of_living("/files"), "x").status == 422);
  auto& broken = request("PUT", of_living("/files?path=h"), "part");
  broken.body_error = fail(errc::cancelled, "gone");
  run();
  CHECK((io->files.size() == 2 && io->sinks_open == 0));
}

TEST_CASE_METHOD(stage, "names are made, moved, described and removed", "[routes]") {
  io->files["/workspace/a"] = {"1"};
  CHECK(call("POST", of_living("/files/mkdir"), R"({"path":"d","mode":"0700"})").status == 200);
  CHECK(io->files["/workspace/d/"].bytes == std::to_string(0700));
  CHECK(call("POST", of_living("/files/move"), R"({"from":"a","to":"b"})").status == 200);
  CHECK(call("GET", of_living("/files/stat?path=b")).json()["size"] == 1);
  CHECK(call("GET", of_living("/files/stat?path=a")).status == 404);
  io->files["/workspace/a"] = {"2"};
  CHECK(call("POST", of_living("/files/move"), R"({"from":"a","to":"b"})").status == 409);
  CHECK(call("POST", of_living("/files/move"), R"({"from":"a","to":"b","overwrite":"yes"})").status == 200);
  CHECK(call("DELETE", of_living("/files?path=b")).status == 200);
  CHECK(call("DELETE", of_living("/files?path=b")).status == 404);
}

TEST_CASE_METHOD(stage, "archives go out and in", "[routes]") {
  auto& out = call("GET", of_living("/files/archive?path=d"));
  CHECK((out.sent == "tar of d" && out.type == "application/x-tar" && out.ended));
  auto& zipped = call("POST", of_living("/files/archive"), R"({"path":"d","format":"tgz"})",
                      {{"Content-Type", "application/json"}});
  CHECK((zipped.sent == "gzip of d" && zipped.type == "application/gzip"));
  CHECK(call("GET", of_living("/files/archive?path=missing")).status == 404);
  CHECK(call("GET", of_living("/files/archive?format=zip")).status == 400);
  auto& in = request("POST", of_living("/files/archive?path=d"), {}, {{"Content-Type", "application/x-tar"}});
  in.pieces = {"one", "two"};
  run();
  CHECK((in.status == 200 && io->unpacked == "onetwo" && in.json()["bytes"] == 6));
  io->unpacked.clear();
  CHECK(call("POST", of_living("/files/archive"), "no archive").status == 400);
}

TEST_CASE_METHOD(stage, "a watch tells changes until the client leaves", "[routes]") {
  auto& ex = request("GET", of_living("/files/watch"));
  io->changes = {watch_event{"created", "a\xff", "", false}, watch_event{"moved", "b", "a", true}};
  io->on_silence = [&] { ex.leave(); };
  io->events.clear();
  run();
  CHECK(ex.status == 200);
  CHECK(io->streams_open == 0);
}

TEST_CASE_METHOD(stage, "a watch whose sandbox ends says so", "[routes]") {
  io->changes = {watch_event{"created", "a\xff", "", false}, fail(errc::sandbox_ended, "sandbox expired")};
  auto& ex = call("GET", of_living("/files/watch?path=/tmp&recursive=0"));
  CHECK(ex.sent.starts_with("event: created\ndata: {"));
  CHECK(ex.sent.find("\"path\":\"a\xef\xbf\xbd\"") != std::string::npos);
  CHECK(ex.sent.find("event: error\ndata: {\"detail\":\"sandbox expired\"") != std::string::npos);
  CHECK(ex.ended);
}
