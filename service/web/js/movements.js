/** Movements by artist, for those who search for "ukiyo-e": a table of names that art history agrees on. */

const MOVEMENTS = {
  "Ukiyo-e, Japanese woodblock print": ["Katsushika Hokusai", "Utagawa Hiroshige", "Utagawa Kuniyoshi"],
  "Post-Impressionism": ["Vincent van Gogh", "Paul Gauguin", "Paul Cézanne", "Maurice Prendergast"],
  Impressionism: ["Claude Monet"],
  "Neo-Impressionism, Pointillism": ["Henri-Edmond Cross", "Jan Toorop"],
  Cubism: ["Juan Gris", "Amadeo de Souza-Cardoso", "Roger de La Fresnaye"],
  Futurism: ["Umberto Boccioni", "Olga Rozanova"],
  "Constructivism, Suprematism": ["Lyubov Popova"],
  "Vienna Secession, Art Nouveau": ["Gustav Klimt", "Koloman Moser"],
  "Art Nouveau": ["Aubrey Beardsley", "Eugène Grasset"],
  Symbolism: ["Odilon Redon", "Mikalojus Konstantinas Čiurlionis", "Ferdinand Hodler"],
  "Nabis, Post-Impressionism": ["Félix Vallotton"],
  Expressionism: ["Lovis Corinth"],
  "Group of Seven, Post-Impressionism": ["Tom Thomson"],
  "Tonalism, Romanticism": ["Albert Pinkham Ryder"],
  Realism: ["Winslow Homer"],
  "Botanical painting, Realism": ["Marianne North"],
  "Northern Renaissance, engraving": ["Albrecht Dürer"],
  "Gothic, Italian, Sienese": ["Duccio di Buoninsegna"],
  "Gothic, illumination": ["Limbourg brothers"],
  "Mir iskusstva, stage design": ["Boris Kustodiev"],
};

const BY_ARTIST = new Map(Object.entries(MOVEMENTS).flatMap(([movement, artists]) => artists.map((artist) => [artist, movement])));

/**
 * The movement of an artist; empty if the table has none.
 * @param {string} artist
 */
export const movementOf = (artist) => BY_ARTIST.get(artist) ?? "";
