// Makes the replica set and the application's user; may run any number of times. Runs in mongosh as root.
const fs = require("fs");
const secret = (name) => fs.readFileSync(`/run/secrets/${name}`, "utf8").trim();

const admin = db.getSiblingDB("admin");
admin.auth("root", secret("mongo_root_password"));

try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "headway", members: [{ _id: 0, host: "mongodb:27017" }] });
}
for (let left = 60; !db.hello().isWritablePrimary; left -= 1) {
  if (left === 0) throw new Error("the replica set has no primary after 30 s");
  sleep(500);
}

const application = db.getSiblingDB("headway");
const user = {
  pwd: secret("mongo_password"),
  roles: [{ role: "readWrite", db: "headway" }, { role: "dbAdmin", db: "headway" }],
};
if (application.getUser("headway") === null) application.createUser({ user: "headway", ...user });
else application.updateUser("headway", user);
