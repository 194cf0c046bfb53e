#pragma once

#include "messages/sandbox_io.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace sandy::guest {

/// Files of a sandbox whose programs trust one more certificate authority: that one, and all together.
inline constexpr std::string_view authority_file = "/etc/sandy/authority.pem";
inline constexpr std::string_view authorities_file = "/etc/sandy/authorities.pem";

/// Variables by which programs find those files instead of what they trust otherwise.
environment trusting_variables();

/// Writes the files: to what the sandbox's image trusts the certificate (PEM) is added. @param otherwise what
/// the image is taken to trust when it does not say. Fails as file operations do.
io_task<result<void>> trust_authority(std::shared_ptr<sandbox_io> in, std::string certificate,
                                      std::string otherwise);

} // namespace sandy::guest
