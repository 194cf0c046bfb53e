// Whatever a sandbox sends to a host that gets its secrets: what comes out is understood in one way only, and
// has a secret in headers of requests for that host and nowhere else.

#include "http/egress/request_rewriter.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace sandy;
using namespace sandy::http::egress;

constexpr std::string_view mark = "sandy-secret-00112233445566778899aabbccddeeff";
constexpr std::string_view value = "(((secret)))"; // cannot be a part of a path or a name
constexpr std::string_view host = "a.bc";

void require(bool promise) {
  if (!promise)
    std::abort();
}

replacements make_secrets() {
  replacements made;
  made.add(std::make_shared<const placed_secret>(
      placed_secret{{"KEY", {std::string{value}}, {std::string{host}}, false}, std::string{mark}}));
  return made;
}

struct outcome {
  bool good = true;
  std::string out;
  std::uint64_t requests = 0;
};

outcome rewritten(std::string_view text, std::size_t piece, const replacements& with) {
  request_rewriter rewriter{std::string{host}, 443, true, with};
  outcome made;
  for (std::size_t at = 0; made.good && at < text.size(); at += piece)
    made.good = static_cast<bool>(rewriter.feed(text.substr(at, piece), made.out));
  made.requests = rewriter.requests();
  return made;
}

void check(std::string_view text) {
  static const replacements secrets = make_secrets();
  static const replacements none;
  auto once = rewritten(text, text.size() + 1, secrets);
  auto in_pieces = rewritten(text, text.size() % 11 + 1, secrets);
  // In pieces a mistake may show later: the parser waits for the end of a head that is wrong already.
  require(in_pieces.good || !once.good);
  require(once.requests == in_pieces.requests);
  if (!once.good)
    return;
  // Who reads the output as we do finds the same requests in it, and nothing to change.
  auto again = rewritten(once.out, once.out.size() + 1, none);
  require(again.good);
  require(again.requests == once.requests);
  require(again.out == once.out);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  check(text);
  // Random bytes alone would hardly ever be a head.
  auto head = "POST / HTTP/1.1\r\nHost: a.bc\r\nX: " + std::string{mark} + "\r\n";
  check(head + std::string{text});
  check(head + "\r\n" + std::string{text});
  check(head + "Transfer-Encoding: chunked\r\n\r\n" + std::string{text});
  check(head + "Content-Length: " + std::to_string(size / 2) + "\r\n\r\n" + std::string{text} + head +
        "\r\n");
  return 0;
}
