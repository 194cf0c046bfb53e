#pragma once

#include "http/ingress/forward.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::ingress {

/// Passes a request to the sandbox's runtime port on, as `forward` does. What is below /artifacts/ is tried
/// at three places: the sandbox's own server for artifacts, if one listens; the runtime port, if something
/// listens and knows it; and the files in /workspace/artifacts.
io_task<result<void>> forward_or_artifact(exchange& ex, destination where);

/// True for /artifacts, and for what is below it.
bool is_artifact(std::string_view target) noexcept;

/// The file in /workspace/artifacts that a target names, relative to it; none when it names none, or leads
/// out.
std::optional<std::string> artifact_path(std::string_view target);

/// The media type of a file, by the end of its name.
std::string_view media_type_of(std::string_view path) noexcept;

} // namespace sandy::http::ingress
