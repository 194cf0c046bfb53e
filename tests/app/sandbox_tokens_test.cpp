#include "app/sandbox_tokens.hpp"
#include "tests/app/temporary_directory.hpp"

#include <sys/stat.h>

using namespace sandy;

namespace {

const principal box{tenant_id{"acme"}, sandbox_id{"46da12d345fb7c0146da12d3"}};

sandbox_tokens tokens_in(const temporary_directory& directory) {
  auto tokens = sandbox_tokens::open(directory.path());
  REQUIRE(tokens);
  return std::move(*tokens);
}

} // namespace

TEST_CASE("a token names its sandbox and its tenant, whatever the tenant is called", "[tokens]") {
  temporary_directory directory;
  auto tokens = tokens_in(directory);
  CHECK(tokens.make(box).starts_with("sandy-sb.46da12d345fb7c0146da12d3.YWNtZQ."));
  for (const auto* tenant : {"acme", "a", "ab", "a.b", "with space", "\xc3\xbc\xff\xfe?>",
                             "a tenant with quite a long name, longer than what fits into a small string"}) {
    principal whose{tenant_id{tenant}, box.sandbox};
    auto token = tokens.make(whose);
    CHECK(token.find_first_of("+/= \"'$") == std::string::npos);
    CHECK(tokens.verify(token) == whose);
  }
}

TEST_CASE("a token that was changed anywhere is nobody's", "[tokens]") {
  temporary_directory directory;
  auto tokens = tokens_in(directory);
  auto token = tokens.make(box);
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto other = token;
    other[i] = other[i] == 'a' ? 'b' : 'a';
    CHECK_FALSE(tokens.verify(other));
    CHECK_FALSE(tokens.verify(token.substr(0, i)));
  }
  CHECK_FALSE(tokens.verify(token + "0"));
  CHECK_FALSE(tokens.verify(token + " "));
  auto signature = token.substr(token.rfind('.'));
  // Other spellings of the same claim, and claims without a tenant or a sandbox.
  const std::string id = "sandy-sb.46da12d345fb7c0146da12d3";
  for (const auto& claim : {id + ".YWNtZQ==", id + ".YWNt ZQ", id + ".", id, std::string{"sandy-sb.x.YWNtZQ"},
                            std::string{"sandy-sb.."}, std::string{"sandy-sb"}, std::string{}})
    CHECK_FALSE(tokens.verify(claim + signature));
}

TEST_CASE("a token of one sandbox is none of another, of another tenant, or of another server", "[tokens]") {
  temporary_directory directory, elsewhere;
  auto tokens = tokens_in(directory);
  CHECK_FALSE(tokens_in(elsewhere).verify(tokens.make(box)));
  CHECK(tokens.make({tenant_id{"other"}, box.sandbox}) != tokens.make(box));
  CHECK(tokens.make({box.tenant, sandbox_id{"000000000000000000000000"}}) != tokens.make(box));
}

TEST_CASE("the secret of tokens is made once, for its owner only, and survives a restart", "[tokens]") {
  temporary_directory directory;
  auto token = tokens_in(directory).make(box);
  struct stat status{};
  REQUIRE(::stat((directory.path() + "/token_secret").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(tokens_in(directory).verify(token) == box);
}

TEST_CASE("a file without a secret is an error, not a new secret", "[tokens]") {
  temporary_directory directory;
  for (const auto& text :
       {std::string(), std::string("short"), std::string(64, 'x'), std::string(1000, 'a')}) {
    directory.write("token_secret", text);
    auto tokens = sandbox_tokens::open(directory.path());
    REQUIRE_FALSE(tokens);
    CHECK(code_of(tokens.error()) == errc::invalid_argument);
  }
}
