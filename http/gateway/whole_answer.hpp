#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sandy::http::gateway {

struct used_tokens {
  std::uint64_t prompt = 0, completion = 0;
};

/// What a model answered that was not asked for a stream.
struct whole_answer {
  std::string text; ///< one JSON object
  used_tokens used;
};

/// The `usage` of a chunk of a stream; nothing when there is none.
used_tokens tokens_in(std::string_view chunk);

/// Makes of a model's answer what its client is to see: with our id, and without an empty `usage`, because
/// there are clients that stumble over it. Works on the text: what a hostile model answers makes no tree.
/// Fails with upstream_error for what is no JSON object.
result<whole_answer> read_answer(const std::string& text, const std::string& id);

} // namespace sandy::http::gateway
