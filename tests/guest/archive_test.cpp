#include "guest/guest_fixture.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;

namespace {

io_task<result<void>> unpack(guest_fixture* self, std::string directory, std::string archive) {
  auto in = co_await self->io->unarchive(std::move(directory));
  if (!in)
    co_return std::move(in.error());
  for (std::size_t at = 0; at < archive.size(); at += 100'000) {
    auto sent = co_await (*in)->write(std::string_view{archive}.substr(at, 100'000));
    if (!sent)
      co_return std::move(sent);
  }
  auto finished = co_await (*in)->finish();
  co_return std::move(finished);
}

} // namespace

TEST_CASE_METHOD(guest_fixture, "a directory goes out as an archive and comes back, plain and compressed",
                 "[guest]") {
  REQUIRE(put(directory + "/in/one", "1"));
  REQUIRE(put(directory + "/in/sub/two", std::string(300'000, '2')));
  auto gzip = GENERATE(false, true);
  auto work = [](guest_fixture* self, bool zip) -> io_task<result<std::string>> {
    auto out = co_await self->io->archive(self->directory + "/in", zip);
    if (!out)
      co_return std::move(out.error());
    auto in = co_await self->io->unarchive(self->directory + "/out");
    if (!in)
      co_return std::move(in.error());
    std::string start;
    for (;;) {
      auto piece = co_await (*out)->read();
      if (!piece)
        co_return std::move(piece.error());
      if (piece->empty())
        break;
      if (start.empty())
        start = piece->substr(0, 2);
      auto sent = co_await (*in)->write(*piece);
      if (!sent)
        co_return std::move(sent.error());
    }
    auto finished = co_await (*in)->finish();
    if (!finished)
      co_return std::move(finished.error());
    co_return std::move(start);
  };
  auto start = run(work(this, gzip));
  REQUIRE(start);
  CHECK((*start == "\x1f\x8b") == gzip);
  CHECK(*get(directory + "/out/one") == "1");
  CHECK(get(directory + "/out/sub/two")->size() == 300'000);
}

TEST_CASE_METHOD(guest_fixture, "what is no archive is refused with tar's words", "[guest]") {
  auto work = [](guest_fixture* self) -> io_task<result<void>> {
    auto in = co_await self->io->unarchive(self->directory + "/out");
    if (!in)
      co_return std::move(in.error());
    auto sent = co_await (*in)->write(std::string(2'000'000, 'x'));
    if (!sent)
      co_return std::move(sent);
    auto finished = co_await (*in)->finish();
    co_return std::move(finished);
  };
  auto refused = run(work(this));
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::invalid_argument);
}

TEST_CASE_METHOD(guest_fixture, "tar may complain about every file of an archive, and nobody waits for ever",
                 "[guest]") {
  auto packed = shell("cd " + directory + " && mkdir many && mount -t tmpfs none many && cd many && touch " +
                      std::string(80, 'n') + "{1..8000} && tar -cf ../many.tar .");
  REQUIRE(packed->exit.exit_code == 0);
  REQUIRE(shell("mkdir " + directory + "/out && mount -t tmpfs -o nr_inodes=10 none " + directory + "/out")
              ->exit.exit_code == 0);
  auto refused = run(unpack(this, directory + "/out", *get(directory + "/many.tar")));
  CHECK(code_of(refused.error()) == errc::invalid_argument);
  CHECK(text_of(refused.error()).size() < 5000);
}

TEST_CASE_METHOD(guest_fixture, "files of an archive belong to the sandbox's user, whoever packed them",
                 "[guest]") {
  auto packed = shell("cd " + directory +
                      " && echo 1 > f && tar --owner=someone:200000 --group=some:200000 -czf f.tgz f");
  REQUIRE(packed->exit.exit_code == 0);
  REQUIRE(run(unpack(this, directory + "/out", *get(directory + "/f.tgz"))));
  CHECK(shell("stat -c %u " + directory + "/out/f")->out == "0\n");
}

TEST_CASE_METHOD(guest_fixture, "what follows an archive's end is ignored, and an empty one is none",
                 "[guest]") {
  REQUIRE(shell("cd " + directory + " && echo 1 > f && tar -cf f.tar f")->exit.exit_code == 0);
  auto archive = *get(directory + "/f.tar") + std::string(3'000'000, '\0');
  REQUIRE(run(unpack(this, directory + "/out", archive)));
  CHECK(*get(directory + "/out/f") == "1\n");
  CHECK(code_of(run(unpack(this, directory + "/out", "")).error()) == errc::invalid_argument);
}

TEST_CASE_METHOD(guest_fixture, "an archive of something that is no directory is refused before it begins",
                 "[guest]") {
  REQUIRE(put(directory + "/file", "x"));
  CHECK(code_of(run(io->archive(directory + "/file", false)).error()) == errc::not_a_directory);
  CHECK(code_of(run(io->archive(directory + "/none", false)).error()) == errc::file_not_found);
  CHECK(code_of(run(io->unarchive(directory + "/file")).error()) == errc::file_exists);
  REQUIRE(shell("cd " + directory + " && mkdir d && ln -s d link")->exit.exit_code == 0);
  CHECK(run(io->archive(directory + "/link", false)));
}
