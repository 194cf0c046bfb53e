#include "app/cli/commands.hpp"
#include "app/cli/output.hpp"
#include "app/cli/private_files.hpp"
#include "certificates/cluster_authority.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace sandy::cli {

namespace {

using certificates::certified_key;
using certificates::cluster_authority;

/// Where a certificate and its key are.
struct file_pair {
  std::string certificate, key;
};

file_pair files_of(const std::string& directory, const std::string& name) {
  return {directory + "/" + name + ".pem", directory + "/" + name + "-key.pem"};
}

/// "ca" has the files of the authority; the certificate of "w1-key" would be where the key of "w1" is.
bool has_files_of_its_own(const std::string& name) { return name != "ca" && !name.ends_with("-key"); }

result<void> check_names(const std::vector<std::string>& names) {
  std::set<std::string> known;
  for (const auto& name : names) {
    auto quoted = "\"" + name + "\"";
    if (!certificates::is_node_name(name))
      return fail(errc::invalid_argument,
                  quoted + " cannot be a node's name: take a host name in lower case, such as worker-1");
    if (!has_files_of_its_own(name))
      return fail(errc::invalid_argument,
                  quoted + " cannot be a node's name: its files would be those of another");
    if (!known.insert(name).second)
      return fail(errc::invalid_argument, quoted + " is named twice");
  }
  return caf::unit;
}

result<void> check_nothing_there(const file_pair& files) {
  for (const auto& path : {files.certificate, files.key}) {
    auto taken = name_taken(path);
    if (!taken)
      return std::move(taken.error());
    if (*taken)
      return fail(errc::file_exists,
                  path + " exists and is not overwritten; remove it to have a new one made");
  }
  return caf::unit;
}

result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST)
    return fail(errc::internal, "Cannot make " + path + ": " + std::strerror(errno));
  return caf::unit;
}

result<void> write(const file_pair& files, const certified_key& texts) {
  return write_private_files({{files.key, texts.key}, {files.certificate, texts.certificate}});
}

std::string told(const std::string& what, const file_pair& files, const certified_key& texts) {
  return "Wrote " + files.certificate + " and " + files.key + ": " + what + ", until " + texts.last_day +
         "\n";
}

/// The authority of the directory, a new one where there is none. @param report gets a line about a new one
result<cluster_authority> authority_in(const std::string& directory, std::string& report) {
  auto files = files_of(directory, "ca");
  auto certificate = name_taken(files.certificate), key = name_taken(files.key);
  if (!certificate || !key)
    return std::move(!certificate ? certificate.error() : key.error());
  // Half an authority is one whose key is kept elsewhere: a new one would cut its nodes off.
  if (*certificate != *key)
    return fail(errc::internal, (*key ? files.certificate : files.key) + " is missing beside " +
                                    (*key ? files.key : files.certificate) + ": an authority needs both");
  if (!*certificate) {
    auto made = certificates::make_cluster_authority();
    if (!made)
      return std::move(made.error());
    if (auto written = write(files, *made); !written)
      return std::move(written.error());
    report += told("the cluster's authority", files, *made);
    return cluster_authority::from(*made);
  }
  auto text = read_file(files.certificate), key_text = read_file(files.key);
  if (!text || !key_text)
    return std::move(!text ? text.error() : key_text.error());
  return cluster_authority::from({*text, *key_text, {}});
}

/// @returns the line about it
result<std::string> certify(const cluster_authority& authority, const cluster_certs_command& what,
                            const std::string& name) {
  auto issued = authority.issue(name, what.days);
  if (!issued)
    return std::move(issued.error());
  auto files = files_of(what.directory, name);
  if (auto written = write(files, *issued); !written)
    return std::move(written.error());
  return told("node " + name, files, *issued);
}

std::string settings_of(const std::string& name) {
  const auto files = files_of("/etc/sandy", name);
  return "\n# Configuration of " + name + ", with these three files in /etc/sandy:\n" +
         "cluster_certificate = \"" + files.certificate + "\"\n" + "cluster_key = \"" + files.key + "\"\n" +
         "cluster_authority = \"" + files_of("/etc/sandy", "ca").certificate + "\"\n";
}

} // namespace

result<int> execute(api_client&, const cluster_certs_command& what) {
  if (auto good = check_names(what.names); !good)
    return std::move(good.error());
  if (auto made = make_directory(what.directory); !made)
    return std::move(made.error());
  for (const auto& name : what.names)
    if (auto free = check_nothing_there(files_of(what.directory, name)); !free)
      return std::move(free.error());
  std::string report;
  auto authority = authority_in(what.directory, report);
  if (!authority)
    return std::move(authority.error());
  std::string settings;
  for (const auto& name : what.names) {
    auto line = certify(*authority, what, name);
    if (!line) { // what was written before is there, and is told
      auto shown = print(report);
      return shown ? std::move(line.error()) : std::move(shown.error());
    }
    report += *line;
    settings += settings_of(name);
  }
  return print(report + "ca-key.pem belongs on no node: whoever has it can join the cluster.\n" + settings);
}

} // namespace sandy::cli
