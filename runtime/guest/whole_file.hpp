#pragma once

#include "messages/sandbox_io.hpp"

#include <memory>
#include <string>

namespace sandy::guest {

/// The first `most` bytes of a file in a sandbox. Fails as `sandbox_io::read_file`.
io_task<result<std::string>> read_beginning(std::shared_ptr<sandbox_io> in, std::string path,
                                            std::uint64_t most);

/// Puts a file in its place. Fails as `sandbox_io::write_file`.
io_task<result<void>> write_whole(std::shared_ptr<sandbox_io> in, write_options options, std::string content);

} // namespace sandy::guest
