//! Recipes.

use bakehouse_controller::{ports::StoreError, stack::Recipe};

use super::{
    Key, Table, failed,
    item::{self, Item},
    update::{Update, s},
};

impl Table {
    pub(super) async fn get_recipe(&self, name: &str) -> Result<Option<Recipe>, StoreError> {
        self.get(&Key::recipe(name)).await?.as_ref().map(decode).transpose()
    }

    pub(super) async fn all_recipes(&self) -> Result<Vec<Recipe>, StoreError> {
        let names = self.ids("recipe").await?;
        let keys: Vec<_> = names.iter().map(|name| Key::recipe(name)).collect();
        let items = self.get_all(&keys).await?;
        let mut recipes = items.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        recipes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(recipes)
    }

    pub(super) async fn save_recipe(&self, recipe: &Recipe) -> Result<(), StoreError> {
        let name = &recipe.name;
        let text = serde_json::to_string(recipe).map_err(|error| failed(format!("saving the recipe {name}"), error))?;
        let update = Update::default().set("state", s("recipe")).set("id", s(name)).set("recipe", s(text));
        self.update(&Key::recipe(name), update, None).await.map(|_| ())
    }
}

fn decode(item: &Item) -> Result<Recipe, StoreError> {
    let name = item::text(item, "id").unwrap_or("?");
    item::json(item, "recipe").map_err(|error| failed(format!("reading the recipe {name}"), error))
}
