"""What `meshwright doctor` looks at, a room for each part of a mesh."""
