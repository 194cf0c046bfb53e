#pragma once

#include "messages/error.hpp"
#include "runtime/process.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace sandy::runtime::docker {

class engine;

/// Whether Podman's service is what answers. Asked for every container: an operator may put another engine
/// at the socket while the server runs. Fails as `engine::ask`.
result<bool> is_podman(const engine& at, steady_time deadline);

/// A container's request (`container_request`) in the words of Podman's service, which answers as Docker's
/// engine does but turns a request into its own command line, where some of it means something else, or gets
/// lost. @param seccomp path of a file with the profile, which Podman can read.
///
/// Everything else that is different is small enough to be asked of both engines the same way: `Tmpfs` knows
/// no bound of files for Podman (inner_files.hpp sets it), images are named without a registry and listed
/// with one, and a changed limit (`/containers/ID/update`) is not known to Podman 4.3, whose groups hold what
/// we write there.
nlohmann::json in_words_of_podman(nlohmann::json request, const std::string& seccomp);

} // namespace sandy::runtime::docker
