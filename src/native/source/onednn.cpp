#include "onednn.h"

#include <dlfcn.h>

namespace onednn {
Functions lib;

bool load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == nullptr) return false;
  bool found = true;
  auto look_up = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    found = found && function != nullptr;
  };
#define LOOK_UP(name, ...) look_up(lib.name, "dnnl_" #name);
  ONEDNN_FUNCTIONS(LOOK_UP)
  LOOK_UP(primitive_desc_query_md)
  LOOK_UP(memory_desc_get_size)
  LOOK_UP(memory_desc_equal)
#undef LOOK_UP
  const int all_instruction_sets = 0;
  return found && lib.set_max_cpu_isa(all_instruction_sets) == 0;
}
}  // namespace onednn
