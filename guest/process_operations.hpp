#pragma once

#include "guest/connection.hpp"
#include "guest/process_table.hpp"

namespace sandy::guest {

/// Operations on processes; see the frames of the same names. Each answers a request that cannot be met by
/// itself and then returns nothing.
std::unique_ptr<operation> start_spawn(connection& link, process_table& table, spawn_request request);
/// @param group what came with the request.
std::unique_ptr<operation> start_spawn(connection& link, process_table& table, group_request request,
                                       unique_fd group);
std::unique_ptr<operation> start_spawn(connection& link, process_table& table, user_request request);
std::unique_ptr<operation> start_spawn(connection& link, process_table& table, terminal_request request);
std::unique_ptr<operation> start_output(connection& link, process_table& table,
                                        const output_request& request);
std::unique_ptr<operation> start_input(connection& link, process_table& table, const input_request& request);
void answer_resize(connection& link, process_table& table, const resize_request& request);
void answer_signal(connection& link, process_table& table, const signal_request& request);
void answer_processes(connection& link, process_table& table);
void answer_process(connection& link, process_table& table, const process_request& request);

} // namespace sandy::guest
