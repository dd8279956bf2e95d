#include "tools/support/recipe_arguments.h"

namespace longspan {

Recipe load_recipe(const Arguments& arguments) {
  return load_recipe(arguments["recipe"], arguments.all("overrides"));
}

}  // namespace longspan
