#include "app/setting_kinds.hpp"

namespace sandy {

void add_server_settings(std::vector<setting>& all) {
  using std::chrono::milliseconds, std::chrono::seconds;
  auto group = std::string_view("Server");
  all.push_back(make<listen_kind>("listen", group, FIELD(listen),
                                  "Where to accept connections; port 0 lets the kernel choose"));
  all.push_back(make<directory_kind>(
      "data_dir", group, FIELD(data_dir),
      "What must survive a restart: the store and the sandboxes' state; one server per directory"));
  all.push_back(
      make<directory_kind>("image_dir", group, FIELD(image_dir), "The image store; servers may share it"));
  all.push_back(make<count_kind<0>>("threads", group, FIELD(threads),
                                    "Threads that serve requests; 0 means one per core"));
  all.push_back(
      make<duration_kind<milliseconds, true>>("shutdown_grace", group, FIELD(shutdown_grace),
                                              "How long running requests may go on after a request to stop. "
                                              "Agent runs are ended at once, and their readers told"));
  all.push_back(make<boolean_kind>(
      "end_sandboxes", group, FIELD(end_sandboxes),
      "End all sandboxes when the server is told to stop; else the next server takes them over"));

  group = "Access";
  all.push_back(make<text_kind>(
      "api_key", group, FIELD(api_key),
      "The key of the tenant \"default\", or sha256: and its digest; without any key one is made "
      "at the first start and kept in data_dir"));
  all.back().type = "KEY";
  all.back().secret = true;
  all.push_back(make<boolean_kind>("open", group, FIELD(open),
                                   "Serve everybody without a key, as the tenant \"default\""));
  all.push_back(
      make<list_kind>("cors_origins", group, FIELD(cors_origins),
                      "Origins whose pages may call the API, separated by commas; none given means all"));

  group = "Public address";
  all.push_back(make<scheme_kind>("public_scheme", group, FIELD(public_scheme),
                                  "Scheme of the sandboxes' public URLs"));
  all.push_back(make<host_suffixes_kind>(
      "host_suffix", group, FIELD(host_suffixes),
      "What follows a sandbox's id in its host name; a missing leading dot is added. "
      "Of several, separated by commas, URLs show the first"));
  all.push_back(make<public_port_kind>(
      "public_port", group, FIELD(public_port),
      "Port in public URLs; auto is the port of listen, and 0, 80 and 443 are not shown"));
  all.push_back(make<boolean_kind>("port_listeners", group, FIELD(port_listeners),
                                   "Listen on the ports that sandboxes expose, at the address of listen"));
}

} // namespace sandy
