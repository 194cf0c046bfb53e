#include "tests/runtime/oci_archives.hpp"
#include "tests/runtime/temporary_directory.hpp"

#include "runtime/oci/archive_files.hpp"
#include "runtime/oci/image_layout.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>

using namespace sandy;
using namespace sandy::runtime;
using namespace sandy::test;
using nlohmann::json;

namespace {

using files = std::map<std::string, std::string>;

test_image small_image() {
  test_image made;
  made.layers = {tar_of({{"low", 'f', "1"}}), tar_of({{"high", 'f', "2"}})};
  made.config = {{"Cmd", {"sh"}}, {"Env", {"A=1"}}};
  return made;
}

/// What is found in an archive.
struct looked {
  errc failed = errc::none;
  std::string complaint;
  oci::image_layout image;
};

looked look(const std::string& bytes, oci::import_limits limits = {}, std::size_t most_layers = 127) {
  temporary_directory scratch;
  unique_fd directory{::open(scratch.path.c_str(), O_RDONLY | O_DIRECTORY)};
  auto file = file_of(bytes);
  auto all = oci::archive_files::read(file.get(), directory.get(), limits, [] { return caf::unit; });
  if (!all)
    return {code_of(all.error()), text_of(all.error()), {}};
  auto found = oci::find_image(*all, oci::this_architecture(), most_layers, limits);
  if (!found)
    return {code_of(found.error()), text_of(found.error()), {}};
  return {errc::none, {}, std::move(*found)};
}

looked look(const files& all) { return look(archive_of(all)); }

json index_of(const files& from) { return json::parse(from.at("index.json")); }

/// Puts a document among the blobs and describes it.
json put(files& into, const json& document, const std::string& type) {
  auto text = document.dump();
  into["blobs/sha256/" + sha256_of(text)] = text;
  return {{"mediaType", type}, {"digest", "sha256:" + sha256_of(text)}, {"size", text.size()}};
}

constexpr const char* index_type = "application/vnd.oci.image.index.v1+json";

} // namespace

TEST_CASE("the image of an OCI layout is found", "[oci]") {
  auto image = small_image();
  for (auto bytes : {archive_of(image.oci_files()), packed(archive_of(image.oci_files()), packing::gzip),
                     packed(archive_of(image.oci_files()), packing::zstd)}) {
    auto found = look(bytes);
    INFO(found.complaint);
    REQUIRE(found.failed == errc::none);
    CHECK(found.image.digest == index_of(image.oci_files())["manifests"][0]["digest"].get<std::string>());
    CHECK(found.image.config == image.config);
    REQUIRE(found.image.layers.size() == 2);
    CHECK(found.image.layers[0].diff_id == sha256_of(image.layers[0]));
    CHECK(found.image.layers[1].diff_id == sha256_of(image.layers[1]));
  }
}

TEST_CASE("the image of an archive of docker save is found, also behind links", "[oci]") {
  auto image = small_image();
  auto all = image.docker_files();
  auto found = look(all);
  INFO(found.complaint);
  REQUIRE(found.failed == errc::none);
  CHECK(found.image.digest == "sha256:" + sha256_of(image.document()));
  CHECK(found.image.layers.size() == 2);

  auto manifest = json::parse(all["manifest.json"]);
  auto first = manifest[0]["Layers"][0].get<std::string>();
  auto content = all[first];
  all.erase(first);
  std::vector<tar_entry> entries{{"shared/layer.tar", 'f', content}, {first, 'l', "../shared/layer.tar"}};
  for (const auto& [name, bytes] : all)
    entries.push_back({name, 'f', bytes});
  CHECK(look(tar_of(entries)).failed == errc::none);
  entries[1].content = "../../shared/layer.tar"; // out of the archive
  CHECK(look(tar_of(entries)).failed == errc::invalid_argument);
  entries[1].content = "layer.tar"; // a circle
  CHECK(look(tar_of(entries)).failed == errc::invalid_argument);
}

TEST_CASE("of an image for several machines, this one's is taken", "[oci]") {
  auto ours = small_image();
  auto all = ours.oci_files();
  auto mine = index_of(all)["manifests"][0], other = mine, attestation = mine;
  mine["platform"] = {{"os", "linux"}, {"architecture", oci::this_architecture()}};
  other["platform"] = {{"os", "linux"}, {"architecture", "s390x"}};
  other["digest"] = "sha256:" + std::string(64, 'a'); // not in the archive, and not needed
  attestation["platform"] = {{"os", "unknown"}, {"architecture", "unknown"}};
  auto inner = put(all, {{"manifests", {other, attestation, mine}}}, index_type);
  all["index.json"] = json{{"manifests", {inner}}}.dump();
  CHECK(look(all).failed == errc::none);
  inner = put(all, {{"manifests", {other}}}, index_type);
  all["index.json"] = json{{"manifests", {inner}}}.dump();
  CHECK(look(all).failed == errc::invalid_argument);

  auto foreign = small_image();
  foreign.architecture = "s390x";
  CHECK(look(foreign.oci_files()).failed == errc::invalid_argument);
  CHECK(look(foreign.docker_files()).failed == errc::invalid_argument);
}

TEST_CASE("an archive of several images is refused, tags of one are not", "[oci]") {
  auto one = small_image(), two = small_image();
  two.config["Cmd"] = {"other"};
  auto all = one.oci_files();
  auto more = two.oci_files();
  auto tags = index_of(all);
  tags["manifests"].push_back(tags["manifests"][0]);
  auto both = index_of(all);
  both["manifests"].push_back(index_of(more)["manifests"][0]);
  all.merge(more);
  all["index.json"] = tags.dump();
  CHECK(look(all).failed == errc::none);
  all["index.json"] = both.dump();
  CHECK(look(all).failed == errc::invalid_argument);
  auto docker = one.docker_files();
  auto manifest = json::parse(docker["manifest.json"]);
  manifest.push_back(manifest[0]);
  docker["manifest.json"] = manifest.dump();
  CHECK(look(docker).failed == errc::invalid_argument);
}

TEST_CASE("a blob with another content than its digest is refused", "[oci]") {
  auto image = small_image();
  auto good = image.oci_files();
  for (const auto& [name, content] : good) {
    if (!name.starts_with("blobs/"))
      continue;
    auto all = good;
    all[name].back() ^= 1;
    INFO(name);
    CHECK(look(all).failed == errc::digest_mismatch);
    all.erase(name);
    CHECK(look(all).failed == errc::invalid_argument);
  }
  auto docker = image.docker_files();
  docker[sha256_of(image.document()) + ".json"] += " ";
  CHECK(look(docker).failed == errc::digest_mismatch);
  auto index = index_of(good);
  index["manifests"][0]["size"] = 1;
  good["index.json"] = index.dump();
  CHECK(look(good).failed == errc::digest_mismatch);
}

TEST_CASE("a layer that an image has twice is stacked once, where it counts", "[oci]") {
  auto image = small_image();
  image.layers.push_back(image.layers[0]);
  auto found = look(image.oci_files());
  REQUIRE(found.failed == errc::none);
  REQUIRE(found.image.layers.size() == 2);
  CHECK(found.image.layers[1].diff_id == sha256_of(image.layers[0]));
}

TEST_CASE("what is no image is refused with a sentence", "[oci]") {
  auto image = small_image();
  auto all = image.oci_files();
  auto refused = [](const files& given) {
    auto found = look(given);
    CHECK_FALSE(found.complaint.empty());
    return found.failed == errc::invalid_argument;
  };
  CHECK(refused({{"etc/passwd", "x"}}));
  CHECK(look("").failed == errc::invalid_argument);
  CHECK(look(std::string(2000, 'x')).failed == errc::invalid_argument);
  for (auto text : {"", "[", "7", "{}", R"({"manifests":7})", R"({"manifests":[7]})", R"({"manifests":[{}]})",
                    R"({"manifests":[{"digest":"md5:00"}]})",
                    R"({"manifests":[{"digest":"sha256:../../../../etc/passwd"}]})"}) {
    INFO(text);
    all["index.json"] = text;
    CHECK(refused(all));
  }
  for (auto text : {"", "{}", "[]", "[7]", R"([{"Config":"../../x","Layers":[]}])", R"([{"Config":7}])"}) {
    INFO(text);
    CHECK(refused({{"manifest.json", text}}));
  }
  auto self = json::parse(image.oci_files()["index.json"]);
  auto nested = image.oci_files();
  auto inner = self;
  for (int i = 0; i < 10; ++i)
    inner = {{"manifests", {put(nested, inner, index_type)}}};
  nested["index.json"] = inner.dump();
  CHECK(refused(nested));
  auto empty = image;
  empty.layers.clear();
  CHECK(refused(empty.oci_files()));
}

TEST_CASE("what an archive costs is bounded", "[oci]") {
  auto image = small_image();
  auto bytes = archive_of(image.oci_files());
  oci::import_limits limits;
  limits.archive_files = 3;
  CHECK(look(bytes, limits).failed == errc::payload_too_large);
  limits = {};
  limits.bytes = bytes.size() / 2;
  CHECK(look(packed(bytes, packing::gzip), limits).failed == errc::payload_too_large);
  limits = {};
  limits.document_bytes = 100;
  CHECK(look(bytes, limits).failed == errc::payload_too_large);
  CHECK(look(bytes, {}, 1).failed == errc::invalid_argument);
}

TEST_CASE("names of an archive mean what they do in it", "[oci]") {
  CHECK(oci::plain_name("./a//b/./c") == "a/b/c");
  CHECK(oci::plain_name("/a/../b") == "b");
  CHECK(oci::plain_name("a/../../b").empty());
  CHECK(oci::plain_name("..").empty());
  CHECK(oci::plain_name("").empty());
}
