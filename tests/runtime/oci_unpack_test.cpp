#include "tests/runtime/oci_archives.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include "runtime/files.hpp"
#include "runtime/oci/layer_unpacker.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>
#include <random>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;

namespace {

/// A place to unpack a layer in, and one beside it where nothing may ever change.
struct unpacking {
  unpacking() {
    for (auto name : {"/tree", "/trash", "/outside"})
      std::filesystem::create_directory(scratch.path + name);
    REQUIRE(write_new_file(scratch.path + "/outside/file", "untouched"));
  }

  /// @returns the code of what it failed with.
  errc unpack(const std::string& bytes) {
    unique_fd tree_fd{::open(tree.c_str(), O_RDONLY | O_DIRECTORY)},
        trash{::open((scratch.path + "/trash").c_str(), O_RDONLY | O_DIRECTORY)};
    auto file = file_of(bytes);
    oci::plain_stream plain{file.get(), budget};
    oci::tar_reader reader{plain};
    oci::layer_unpacker unpacker{tree_fd.get(), trash.get(), entries};
    auto outcome = unpacker.unpack(reader, [](std::uint64_t) { return caf::unit; });
    if (outcome)
      size = *outcome;
    complaint = outcome ? "" : text_of(outcome.error());
    CHECK(names_in(scratch.path + "/outside") == std::vector<std::string>{"file"});
    CHECK(read_small_file(scratch.path + "/outside/file") == "untouched");
    return outcome ? errc::none : code_of(outcome.error());
  }
  errc unpack(const std::vector<tar_entry>& all) { return unpack(tar_of(all)); }

  struct stat about(const std::string& path) {
    struct stat found{};
    INFO(path);
    REQUIRE(::lstat((tree + "/" + path).c_str(), &found) == 0);
    return found;
  }
  bool present(const std::string& path) {
    struct stat found{};
    return ::lstat((tree + "/" + path).c_str(), &found) == 0;
  }
  bool removed(const std::string& path) {
    auto found = about(path);
    return S_ISCHR(found.st_mode) && found.st_rdev == 0;
  }
  bool opaque(const std::string& path) {
    char value = 0;
    return ::lgetxattr((tree + "/" + path).c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
  }
  std::string text(const std::string& path) { return read_small_file(tree + "/" + path).value_or("none"); }

  temporary_directory scratch;
  std::string tree = scratch.path + "/tree";
  std::uint64_t budget = 1 << 30;
  std::uint64_t entries = 100'000;
  oci::tree_size size;
  std::string complaint;
};

} // namespace

TEST_CASE_METHOD(unpacking, "a layer is unpacked with owners, permissions, times, links and holes", "[oci]") {
  REQUIRE(unpack({{"usr/", 'd', "", 0750, 7, 8, 100},
                  {"usr/file", 'f', "content", 0640, 1000, 1001, 200},
                  {"usr/link", 'l', "/usr/file", 0777, 3, 4, 300},
                  {"usr/same", 'h', "usr/file"},
                  {"usr/fifo", 'p', "", 0600},
                  {"usr/sparse", 'f', "end", 0644, 0, 0, 1, {}, 1 << 20},
                  {std::string(90, 'd') + "/" + std::string(200, 'n'), 'f', "long"},
                  {"caf\xc3\xa9", 'f', "name"}}) == errc::none);
  CHECK((about("usr").st_mode & 07777) == 0750);
  CHECK(about("usr").st_uid == 7);
  CHECK(about("usr").st_mtime == 100); // although files came into it later
  CHECK(text("usr/file") == "content");
  CHECK((about("usr/file").st_mode & 07777) == 0640);
  CHECK(about("usr/file").st_gid == 1001);
  CHECK(about("usr/file").st_mtime == 200);
  CHECK(about("usr/same").st_ino == about("usr/file").st_ino);
  CHECK(std::filesystem::read_symlink(tree + "/usr/link") == "/usr/file");
  CHECK(about("usr/link").st_uid == 3);
  CHECK(about("usr/link").st_mtime == 300);
  CHECK(S_ISFIFO(about("usr/fifo").st_mode));
  CHECK(about("usr/sparse").st_size == (1 << 20) + 3);
  CHECK(about("usr/sparse").st_blocks < 64);
  CHECK(text(std::string(90, 'd') + "/" + std::string(200, 'n')) == "long");
  CHECK(text("caf\xc3\xa9") == "name");
  CHECK(size.inodes == 8);
}

TEST_CASE_METHOD(unpacking, "what a layer removes becomes what overlayfs takes for it", "[oci]") {
  REQUIRE(unpack({{"etc/", 'd', "", 0755, 0, 0, 5},
                  {"etc/.wh.gone"},
                  {"opt/.wh..wh..opq"},
                  {"opt/new", 'f', "new"},
                  {"opt/.wh..wh.plnk"},
                  {"both/", 'd'},
                  {"both/kept", 'f', "kept"},
                  {".wh.both"},
                  {".wh.first"},
                  {"first/", 'd'},
                  {"first/inside", 'f', "inside"},
                  {"file", 'f', "stays"},
                  {".wh.file"},
                  {".wh.again"},
                  {"again", 'f', "again"}}) == errc::none);
  CHECK(removed("etc/gone"));
  CHECK(about("etc").st_mtime == 5);
  CHECK(opaque("opt"));
  CHECK(text("opt/new") == "new");
  CHECK(names_in(tree + "/opt") == std::vector<std::string>{"new"});
  CHECK(opaque("both")); // marks are about the layers below
  CHECK(text("both/kept") == "kept");
  CHECK(opaque("first"));
  CHECK(text("first/inside") == "inside");
  CHECK(text("file") == "stays");
  CHECK(text("again") == "again");
}

TEST_CASE_METHOD(unpacking, "what names of an archive point at is never outside of the tree", "[oci]") {
  auto outside = scratch.path + "/outside";
  auto refuses = [&](const std::vector<tar_entry>& all) {
    auto code = unpack(all);
    INFO(all.back().name);
    CHECK(code == errc::invalid_argument);
    CHECK(complaint.find(scratch.path) == std::string::npos);
  };
  SECTION("by ..") {
    refuses({{"../outside/new", 'f', "x"}});
    refuses({{"a/../../outside/new", 'f', "x"}});
    refuses({{"../outside/.wh.file"}});
    refuses({{"..", 'd'}});
    refuses({{"d/..", 'l', "x"}});
    refuses({{".wh..", 'f'}});
    refuses({{".wh...", 'f'}});
    refuses({{".wh.", 'f'}});
  }
  SECTION("by absolute names") {
    REQUIRE(unpack({{"/absolute", 'f', "x"}, {"//twice/x", 'f', "y"}}) == errc::none);
    CHECK(text("absolute") == "x");
    CHECK(text("twice/x") == "y");
  }
  SECTION("by symbolic links on the way, which mean what they do inside") {
    std::filesystem::create_directories(tree + "/" + outside);
    REQUIRE(unpack({{"out", 'l', outside},
                    {"up", 'l', "../../../../../../../.." + outside},
                    {"out/new", 'f', "inside"},
                    {"up/other", 'f', "inside"},
                    {"out/.wh.file"},
                    {"up/.wh..wh..opq"}}) == errc::none);
    CHECK(text(outside + "/new") == "inside");
    CHECK(text(outside + "/other") == "inside");
    CHECK(removed(outside + "/file"));
    CHECK(opaque(outside));
  }
  SECTION("by a symbolic link of the file's own name") {
    REQUIRE(unpack({{"file", 'l', outside + "/file"}, {"file", 'f', "mine"}}) == errc::none);
    CHECK(text("file") == "mine");
    REQUIRE(unpack({{"dir", 'l', outside}, {"dir", 'd', "", 0777}, {"dir/x", 'f', "y"}}) == errc::none);
    CHECK(text("dir/x") == "y");
    refuses({{"nowhere", 'l', "/not/there"}, {"nowhere/x", 'f', "y"}});
    refuses({{"circle", 'l', "circle"}, {"circle/x", 'f', "y"}});
  }
  SECTION("by hard links") {
    refuses({{"link", 'h', "../outside/file"}});
    refuses({{"link", 'h', outside + "/file"}});
    refuses({{"out", 'l', outside}, {"link", 'h', "out/file"}});
    refuses({{"link", 'h', "not-here"}});
    refuses({{"d/", 'd'}, {"link", 'h', "d"}});
    refuses({{".wh.mark"}, {"link", 'h', "mark"}});
    REQUIRE(unpack({{"out", 'l', outside + "/file"}, {"link", 'h', "out"}, {"link", 'f', "mine"}}) ==
            errc::none);
    CHECK(text("link") == "mine");
  }
  SECTION("by hiding what lies below the layer") { refuses({{".wh..wh..opq"}}); }
}

TEST_CASE_METHOD(unpacking, "a layer brings no devices, no rights and no attributes of the kernel's",
                 "[oci]") {
  REQUIRE(unpack({{"null", 'c', "", 0666},
                  {"disk", 'b', "", 0666},
                  {"su", 'f', "x", 06755},
                  {"tmp/", 'd', "", 01777},
                  {"group/", 'd', "", 02775},
                  {"beyond", 'f', "x", 0644, 70'000, 4'000'000'000},
                  {"file",
                   'f',
                   "x",
                   0644,
                   0,
                   0,
                   1,
                   {{"user.kept", "1"},
                    {"user.overlay.opaque", "y"},
                    {"security.capability", std::string(20, '\1')},
                    {"trusted.overlay.redirect", "/etc"}}}}) == errc::none);
  CHECK_FALSE(present("null"));
  CHECK_FALSE(present("disk"));
  CHECK((about("su").st_mode & 07777) == 0755);
  CHECK((about("tmp").st_mode & 07777) == 01777);
  CHECK((about("group").st_mode & 07777) == 02775);
  CHECK(about("beyond").st_uid == 65'534);
  CHECK(about("beyond").st_gid == 65'534);
  char names[256];
  auto length = ::llistxattr((tree + "/file").c_str(), names, sizeof names);
  CHECK(std::string(names, static_cast<std::size_t>(std::max<ssize_t>(0, length))) ==
        std::string("user.kept\0", 10));
}

TEST_CASE_METHOD(unpacking, "later entries replace earlier ones", "[oci]") {
  REQUIRE(unpack({{"a", 'f', "one"},
                  {"a", 'f', "two"},
                  {"d/", 'd', "", 0700},
                  {"d/inside", 'f', "x"},
                  {"d/", 'd', "", 0755},
                  {"tree/deep/er/", 'd'},
                  {"tree/deep/er/file", 'f', "x"},
                  {"tree", 'f', "now a file"},
                  {"self", 'f', "x"},
                  {"self", 'h', "self"}}) == errc::none);
  CHECK(text("a") == "two");
  CHECK((about("d").st_mode & 07777) == 0755);
  CHECK(text("d/inside") == "x");
  CHECK(text("tree") == "now a file");
  CHECK(text("self") == "x");
  CHECK(unpack({{"f", 'f', "x"}, {"f/below", 'f', "y"}}) == errc::invalid_argument);
}

TEST_CASE_METHOD(unpacking, "what a layer costs is bounded", "[oci]") {
  SECTION("in files") {
    entries = 3;
    CHECK(unpack({{"1"}, {"2"}, {"3"}}) == errc::none);
    entries = 3;
    CHECK(unpack({{"1"}, {"2"}, {"3"}, {"4"}}) == errc::payload_too_large);
    entries = 3;
    CHECK(unpack({{"a/b/c/d/e/f", 'f'}}) != errc::none); // directories that are not named count
  }
  SECTION("in bytes, whatever they were compressed to") {
    budget = 1 << 20;
    auto bomb = tar_of({{"zeros", 'f', std::string(8 << 20, '\0')}});
    CHECK(unpack(packed(bomb, packing::gzip)) == errc::payload_too_large);
    budget = 1 << 20;
    CHECK(unpack(packed(bomb, packing::zstd)) == errc::payload_too_large);
    budget = 1 << 20;
    CHECK(unpack(packed(packed(bomb, packing::gzip), packing::gzip)) == errc::payload_too_large);
  }
  SECTION("in names") {
    CHECK(unpack({{std::string(300, 'n'), 'f'}}) == errc::invalid_argument);
    std::string deep;
    for (int i = 0; i < 3000; ++i)
      deep += "d/";
    CHECK(unpack({{deep, 'd'}}) == errc::invalid_argument);
  }
}

TEST_CASE_METHOD(unpacking, "a million entries are refused at the bound, and fast", "[oci]") {
  std::vector<tar_entry> all;
  for (int i = 0; i < 20'000; ++i)
    all.push_back({"d/" + std::to_string(i)});
  entries = 10'000;
  CHECK(unpack(all) == errc::payload_too_large);
  CHECK(names_in(tree + "/d").size() <= 10'000);
}

TEST_CASE_METHOD(unpacking, "an archive that is cut or damaged is refused", "[oci]") {
  auto whole = tar_of({{"a", 'f', std::string(100'000, 'a')}, {"b", 'f', "b"}});
  CHECK(unpack(whole.substr(0, 50'000)) == errc::invalid_argument);
  auto small = packed(whole, packing::gzip);
  CHECK(unpack(small.substr(0, small.size() / 2)) == errc::invalid_argument);
  CHECK(unpack(std::string(4096, 'x')) == errc::invalid_argument);
}

TEST_CASE_METHOD(unpacking, "whatever bytes come, nothing outside changes", "[oci]") {
  auto good = tar_of({{"usr/", 'd'},
                      {"usr/file", 'f', "content"},
                      {"out", 'l', scratch.path + "/outside"},
                      {"out/x", 'f', "x"},
                      {"usr/same", 'h', "usr/file"},
                      {"usr/.wh.gone"}});
  std::mt19937 random{20261121};
  for (int round = 0; round < 300; ++round) {
    auto bytes = good;
    for (int i = 0; i < 1 + round % 8; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 3 == 0) { // a header that is right again, so that what it says is believed
      auto block = random() % (bytes.size() / 512) * 512;
      auto header = bytes.substr(block, 512);
      header.replace(148, 8, 8, ' ');
      unsigned sum = 0;
      for (unsigned char c : header)
        sum += c;
      char digits[8];
      std::snprintf(digits, sizeof digits, "%06o", sum);
      bytes.replace(block + 148, 7, digits, 7);
    }
    budget = 1 << 24;
    entries = 1000;
    unpack(bytes);
  }
}
