#pragma once

// Ids follow order and cross nodes: append, never reorder.

#include "messages/connection.hpp"
#include "messages/events.hpp"
#include "messages/limiter.hpp"
#include "messages/worker.hpp"

#include <caf/type_id.hpp>

CAF_BEGIN_TYPE_ID_BLOCK(sandy, first_custom_type_id)

CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_id))
CAF_ADD_TYPE_ID(sandy, (sandy::tenant_id))
CAF_ADD_TYPE_ID(sandy, (sandy::errc))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_state))
CAF_ADD_TYPE_ID(sandy, (sandy::end_reason))
CAF_ADD_TYPE_ID(sandy, (sandy::resource_limits))
CAF_ADD_TYPE_ID(sandy, (sandy::create_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_info))
CAF_ADD_TYPE_ID(sandy, (sandy::get_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::list_sandboxes))
CAF_ADD_TYPE_ID(sandy, (sandy::terminate_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_ended))
CAF_ADD_TYPE_ID(sandy, (sandy::refresh_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::open_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_opened))
CAF_ADD_TYPE_ID(sandy, (sandy::get_stats))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_stats))
CAF_ADD_TYPE_ID(sandy, (sandy::get_logs))
CAF_ADD_TYPE_ID(sandy, (sandy::log_line))
CAF_ADD_TYPE_ID(sandy, (sandy::probe_port))
CAF_ADD_TYPE_ID(sandy, (sandy::get_health))
CAF_ADD_TYPE_ID(sandy, (sandy::pool_health))
CAF_ADD_TYPE_ID(sandy, (sandy::worker_health))
CAF_ADD_TYPE_ID(sandy, (sandy::get_resources))
CAF_ADD_TYPE_ID(sandy, (sandy::worker_resources))
CAF_ADD_TYPE_ID(sandy, (sandy::drain_worker))
CAF_ADD_TYPE_ID(sandy, (sandy::resource_sample))
CAF_ADD_TYPE_ID(sandy, (sandy::get_timeseries))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::sandbox_info>))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::sandbox_stats>))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::log_line>))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::resource_sample>))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::sandbox_id>))
CAF_ADD_TYPE_ID(sandy, (sandy::start_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::end_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::list_known))
CAF_ADD_TYPE_ID(sandy, (sandy::sweep))
CAF_ADD_TYPE_ID(sandy, (sandy::principal))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_ending))
CAF_ADD_TYPE_ID(sandy, (sandy::tenant_limits))
CAF_ADD_TYPE_ID(sandy, (sandy::request_cost))
CAF_ADD_TYPE_ID(sandy, (sandy::budget_kind))
CAF_ADD_TYPE_ID(sandy, (sandy::admit_request))
CAF_ADD_TYPE_ID(sandy, (sandy::admission))
CAF_ADD_TYPE_ID(sandy, (sandy::return_lease))
CAF_ADD_TYPE_ID(sandy, (sandy::get_tenant_limits))
CAF_ADD_TYPE_ID(sandy, (sandy::set_tenant_limits))
CAF_ADD_TYPE_ID(sandy, (sandy::life_event_type))
CAF_ADD_TYPE_ID(sandy, (sandy::life_event))
CAF_ADD_TYPE_ID(sandy, (sandy::read_events))
CAF_ADD_TYPE_ID(sandy, (sandy::event_page))
CAF_ADD_TYPE_ID(sandy, (sandy::settle_events))
CAF_ADD_TYPE_ID(sandy, (sandy::close_events))
CAF_ADD_TYPE_ID(sandy, (sandy::deliver_events))
CAF_ADD_TYPE_ID(sandy, (sandy::take_warm))
CAF_ADD_TYPE_ID(sandy, (sandy::warm_found))
CAF_ADD_TYPE_ID(sandy, (sandy::warm_ended))
CAF_ADD_TYPE_ID(sandy, (sandy::create_warm))
CAF_ADD_TYPE_ID(sandy, (sandy::retire_warm))
CAF_ADD_TYPE_ID(sandy, (sandy::claim_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::pause_cause))
CAF_ADD_TYPE_ID(sandy, (sandy::pause_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::resume_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_connection))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::sandbox_connection>))
CAF_ADD_TYPE_ID(sandy, (sandy::connect_sandboxes))
CAF_ADD_TYPE_ID(sandy, (sandy::disconnect_sandboxes))
CAF_ADD_TYPE_ID(sandy, (sandy::list_connections))
CAF_ADD_TYPE_ID(sandy, (sandy::sandbox_left))
CAF_ADD_TYPE_ID(sandy, (sandy::restore_connections))
CAF_ADD_TYPE_ID(sandy, (sandy::layer_id))
CAF_ADD_TYPE_ID(sandy, (sandy::image_info))
CAF_ADD_TYPE_ID(sandy, (std::vector<sandy::image_info>))
CAF_ADD_TYPE_ID(sandy, (sandy::list_images))
CAF_ADD_TYPE_ID(sandy, (sandy::snapshot_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::remove_image))
CAF_ADD_TYPE_ID(sandy, (sandy::fork_sandbox))
CAF_ADD_TYPE_ID(sandy, (sandy::keep_layer))
CAF_ADD_TYPE_ID(sandy, (sandy::layer_kept))

CAF_END_TYPE_ID_BLOCK(sandy)

namespace caf {
class actor_system_config;
}

namespace sandy {
/// Makes every message known to an actor system. Call on the configuration, before the system is made.
void register_messages(caf::actor_system_config& config);
} // namespace sandy
