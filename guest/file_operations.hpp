#pragma once

#include "guest/connection.hpp"

namespace sandy::guest {

/// Operations on files; see the frames of the same names. Paths are resolved where the guest lives: inside.
/// Long work is done in slices between which everybody else has a turn.
void answer_stat(connection& link, const path_request& request);
void answer_make_directory(connection& link, const directory_request& request);
void answer_move(connection& link, const move_request& request);
std::unique_ptr<operation> start_read(connection& link, const read_request& request);
std::unique_ptr<operation> start_write(connection& link, const write_request& request);
std::unique_ptr<operation> start_list(connection& link, const list_request& request);
std::unique_ptr<operation> start_remove(connection& link, const remove_request& request);
std::unique_ptr<operation> start_watch(connection& link, const watch_request& request);

/// Answers with the errno of a file call.
inline void fail_file(connection& link, int error, std::string_view path) {
  link.fail(failure_kind::file, error, path);
}

} // namespace sandy::guest
